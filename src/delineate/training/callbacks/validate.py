"""Judge the weights on the validation cases, by the same path that will predict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from delineate.core import Case, Network, Output, Segmentation, Target, Task
from delineate.inference import CasePredictor, NotFiniteError
from delineate.losses import Loss
from delineate.metrics import Metric
from delineate.prepare import Prepare
from delineate.training.callbacks.clock import Clock
from delineate.training.callbacks.ema import EMA
from delineate.training.module import DivergedError, Learner


@dataclass
class Overheard:
    """A network that remembers its last answer, so that the loss needs no second pass."""

    network: Network
    output: Output[np.ndarray] | None = field(default=None, init=False)

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """What the network says."""
        self.output = self.network(pixels)
        return self.output


class Validation(Callback):
    """Scores on the validation cases every few epochs; the best weights go to `keep_best`.

    Each score is the mean over cases and labels, cases without an answer (NaN) left out.
    `network` wraps the model that is being trained as the bundle will wrap it later.
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
        self.overheard = Overheard(predictor.network)
        self.predictor = CasePredictor(
            predictor.prepare, self.overheard, predictor.task, predictor.refine
        )
        self.metrics = metrics
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
        """Validation, keep the best, and stop when nothing gets better."""
        self.latest = {}
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if (trainer.current_epoch + 1) % self.every and not last:
            return
        assert isinstance(pl_module, Learner)
        with self.ema.in_place(pl_module):
            if trainer.world_size > 1:  # running means differ by process, and one of them is kept
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
        rows = [
            self._judged(case) for case in self.cases[trainer.global_rank :: trainer.world_size]
        ]
        if trainer.world_size > 1:
            everyone: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(everyone, rows)
            rows = [row for part in everyone for row in part]
        scores = {}
        for name in rows[0] if rows else ():
            values = np.concatenate([row[name] for row in rows])
            known = values[~np.isnan(values)]
            scores[f"val/{name}"] = float(known.mean()) if known.size else math.nan
        return scores

    def _judged(self, case: Case) -> dict[str, np.ndarray]:
        truth = case.truth
        if truth is None:
            raise ValueError(f"{case.id}: a validation case without truth cannot be judged.")
        try:
            prediction = self.predictor(case)
        except NotFiniteError as error:
            raise DivergedError(
                f"{error} It is a validation case. A lower learning rate or "
                "--set trainer.gradient_clip=1 usually helps."
            ) from error
        row = {
            name: np.array(list(metric(prediction, truth).values()), dtype=np.float64)
            for name, metric in self.metrics.items()
        }
        row["loss"] = np.array([self._loss(truth, self.predictor.prepare, self.predictor.task)])
        return row

    def _loss(self, truth: Segmentation, prepare: Prepare, task: Task) -> float:
        target = task.encode(prepare.truth(truth, instances="instances" in task.gives))
        output = self.overheard.output
        assert output is not None
        with torch.inference_mode():
            value = self.loss(
                output.map(torch.from_numpy), Target.stack([target]).map(torch.from_numpy)
            )
        return float(value)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.best = state_dict["best"]
        self.waited = state_dict["waited"]
