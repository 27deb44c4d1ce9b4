"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from delineate.training.module import Learner


class EMA(Callback):
    """Keeps an exponential moving average of the weights. Without a decay the model's own weights are used.

    Lightning's own WeightAveraging is not used: it swaps weights around Lightning's validation loop, which Delineate
    does not use, and its decay cannot start low.
    """

    def __init__(self, decay: float | None) -> None:
        self.decay = decay
        self.weights: dict[str, torch.Tensor] = {}
        self.steps = 0
        self.seen = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the weights of a checkpoint to the device of the model."""
        self.weights = {k: v.to(pl_module.device) for k, v in self.weights.items()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average once per optimiser step."""
        if self.decay is None or trainer.global_step == self.seen:
            return
        self.seen = trainer.global_step
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        present = _model(pl_module).state_dict()
        if not self.weights:
            self.weights = {k: v.detach().clone() for k, v in present.items()}
            return
        floats = [k for k, v in present.items() if v.dtype.is_floating_point]
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.weights[k] for k in floats], [present[k] for k in floats], 1 - decay
            )
        for k in present.keys() - set(floats):  # counters of batch normalisation
            self.weights[k].copy_(present[k])

    @contextmanager
    def in_place(self, learner: LightningModule) -> Iterator[None]:
        """Put the averaged weights into the model inside the `with` block."""
        if not self.weights:
            yield
            return
        model = _model(learner)
        own = {k: v.detach().clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """The state that the checkpoint holds."""
        return {"weights": self.weights, "steps": self.steps, "seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self.weights = dict(state_dict["weights"])
        self.steps = state_dict["steps"]
        self.seen = state_dict["seen"]


def _model(learner: LightningModule) -> torch.nn.Module:
    assert isinstance(learner, Learner)
    return learner.model
