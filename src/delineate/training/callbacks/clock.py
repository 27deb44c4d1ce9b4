"""Measure how much of the budget (epochs or time) is spent, and set the learning rate from it."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from delineate.resolve import Call, check, resolve
from delineate.training.schedules import Progress


class Clock(Callback):
    """Sets the learning rate before each step of the optimiser, and stops training when its time limit is reached.

    Also seeds torch at the start of each epoch, so that dropout is the same in a resumed run.
    """

    def __init__(self, schedule: Call, epochs: int, seconds: float | None, seed: int) -> None:
        self.factor = resolve("schedules", schedule)
        self.args = check("schedules", schedule)
        try:
            self.factor(Progress(0.0, 0.0), **self.args)
        except ValueError as error:
            raise schedule.fail(f"{schedule.name}: {error}") from error
        self.epochs = epochs
        self.seconds = seconds
        self.seed = seed
        self.scores: list[float] = []
        self.before = 0.0
        self.started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of training, including those before the run was resumed."""
        return self.before + time.monotonic() - self.started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Set the learning rate. It holds for all batches whose gradients are accumulated for one step."""
        if (
            batch_idx == 0
        ):  # here, since making the iterator of batches may or may not draw a random number
            torch.manual_seed((self.seed * 1_000_003 + trainer.current_epoch) % 2**63)
        if batch_idx % trainer.accumulate_grad_batches:
            return
        epoch = trainer.current_epoch + batch_idx / max(1, trainer.num_training_batches)
        spent = epoch / self.epochs
        if self.seconds is not None:
            spent = max(spent, self.elapsed / self.seconds)
        if trainer.world_size > 1:  # clocks differ between processes; learning rates must be equal
            spent = trainer.strategy.broadcast(spent)
        factor = self.factor(Progress(min(1.0, spent), epoch, tuple(self.scores)), **self.args)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * factor

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop when the time limit is reached."""
        if self.seconds is None:
            return
        over = self.elapsed >= self.seconds
        if trainer.world_size > 1:
            over = trainer.strategy.broadcast(over)
        trainer.should_stop = trainer.should_stop or over

    def state_dict(self) -> dict[str, Any]:
        """The state that the checkpoint holds."""
        return {"elapsed": self.elapsed, "scores": list(self.scores)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self.before = state_dict["elapsed"]
        self.scores = list(state_dict["scores"])
