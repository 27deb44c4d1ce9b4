"""Validate the weights with the same code that evaluates the bundle later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from delineate.core import Case, Network, Output, Segmentation, Target
from delineate.evaluation.evaluate import evaluate
from delineate.evaluation.table import Row, Table
from delineate.inference import CasePredictor, NotFiniteError
from delineate.losses import Loss
from delineate.metrics import Metric, traits, traits_of
from delineate.training.callbacks.clock import Clock
from delineate.training.callbacks.ema import EMA
from delineate.training.module import DivergedError, Learner


@dataclass
class LastOutput:
    """A network that keeps its last output, so that the loss needs no second forward pass."""

    network: Network
    output: Output[np.ndarray] | None = field(default=None, init=False)

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """The output of the network."""
        self.output = self.network(pixels)
        return self.output


class Validation(Callback):
    """Evaluates the validation cases every few epochs, and calls `keep_best` when the monitored score improves.

    Scores are computed as `evaluate` computes them: for each label the mean over the cases, or the pooled score for
    metrics that need one, then the mean over the labels. `network` wraps the trained model as the bundle wraps it.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        predictor: CasePredictor,
        metrics: Mapping[str, Metric],
        loss: Loss,
        ema: EMA,
        clock: Clock,
        keep_best: Callable[[Mapping[str, float], int], None],
        *,
        monitor: str,
        lower_is_better: bool,
        every: int,
        patience: int | None,
    ) -> None:
        self.cases = cases
        self.network = LastOutput(predictor.network)
        self.predictor = replace(
            predictor, network=self.network, source=None, keep_probabilities=True
        )
        self.metrics: dict[str, Metric] = {**metrics, "loss": self._loss}
        self.loss = loss
        self.ema = ema
        self.clock = clock
        self.keep_best = keep_best
        self.monitor = monitor
        self.sign = -1.0 if lower_is_better else 1.0
        self.every = every
        self.patience = patience
        self.best = -math.inf
        self.waited = 0
        self.latest: dict[str, float] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate, keep the best weights, and stop when the score has not improved for `patience` validations."""
        self.latest = {}
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if (trainer.current_epoch + 1) % self.every and not last:
            return
        assert isinstance(pl_module, Learner)
        with self.ema.in_place(pl_module):
            if (
                trainer.world_size > 1
            ):  # running means differ between processes; those of process 0 are kept
                for buffer in pl_module.model.buffers():
                    torch.distributed.broadcast(buffer, 0)
            self.latest = self._scores(trainer)
            score = self.sign * self.latest.get(self.monitor, math.nan)
            self.clock.scores.append(score)
            if score > self.best or not self.cases:
                self.best, self.waited = score, 0
                if trainer.is_global_zero:
                    self.keep_best(self.latest, trainer.current_epoch + 1)
            else:
                self.waited += 1
        if self.patience is not None and self.waited > self.patience:
            trainer.should_stop = True

    def _scores(self, trainer: Trainer) -> dict[str, float]:
        if not self.cases:
            return {}
        rows = self._evaluated(self.cases[trainer.global_rank :: trainer.world_size])
        if trainer.world_size > 1:  # pooled scores need the rows of all cases, not a mean of means
            gathered: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(gathered, rows)
            rows = [row for part in gathered for row in part]
        known = {name: traits_of(metric) for name, metric in self.metrics.items()}
        table = Table("val", tuple(self.metrics), tuple(rows), known)
        return {f"val/{name}": table.overall(name) for name in table.metrics}

    def _evaluated(self, cases: Sequence[Case]) -> list[Row]:
        """The rows of some cases. With more processes than cases a process has none."""
        if not cases:
            return []
        try:
            table = evaluate(self.predictor, cases, self.metrics, split="val", progress=False)
        except NotFiniteError as error:
            raise DivergedError(
                f"{error} It is a validation case. A lower learning rate or "
                "--set trainer.gradient_clip=1 usually helps."
            ) from error
        return list(table.rows)

    @traits(lower_is_better=True, range=None)
    def _loss(self, prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
        """The loss of the output that the prediction was read from."""
        task = self.predictor.task
        target = task.encode(
            self.predictor.prepare.truth(truth, instances="instances" in task.gives)
        )
        output = self.network.output
        assert output is not None
        with torch.inference_mode():
            value = self.loss(
                output.map(torch.from_numpy), Target.stack([target]).map(torch.from_numpy)
            )
        return {"all": float(value)}

    def state_dict(self) -> dict[str, Any]:
        """The state that the checkpoint holds."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self.best = state_dict["best"]
        self.waited = state_dict["waited"]
