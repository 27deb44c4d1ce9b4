"""A progress bar over the whole run, and a line for each judgement."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from delineate.train.callbacks.clock import Clock
from delineate.train.callbacks.judge import Judge


class Bar(Callback):
    """Counts steps, or seconds where the clock decides, and shows the latest loss and best score."""

    def __init__(self, judge: Judge, clock: Clock) -> None:
        self.judge = judge
        self.clock = clock
        self.bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw it."""
        if not trainer.is_global_zero:
            return
        per_epoch = int(trainer.num_training_batches)
        total = per_epoch * (trainer.max_epochs or 1)
        timed = self.clock.seconds is not None
        self.bar = tqdm(
            desc="training",
            total=round(self.clock.seconds or 0) if timed else total,
            initial=round(self.clock.before) if timed else per_epoch * trainer.current_epoch,
            unit="s" if timed else "step",
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}"
            if not timed
            else "{desc} {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s {postfix}",
            dynamic_ncols=True,
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move it."""
        if self.bar is None:
            return
        timed = self.clock.seconds is not None
        self.bar.update(min(self.clock.elapsed, self.bar.total) - self.bar.n if timed else 1)
        if not batch_idx % 10:
            self.bar.set_postfix_str(
                f"epoch {trainer.current_epoch + 1}, loss {outputs['loss'].item():.3f}, "
                f"best {self.judge.monitor} {self.judge.sign * self.judge.best:.3f}",
                refresh=False,
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the judge found."""
        if self.bar is None or not self.judge.latest:
            return
        scores = ", ".join(f"{name} {value:.3f}" for name, value in self.judge.latest.items())
        self.bar.write(file=sys.stderr, s=f"epoch {trainer.current_epoch + 1:>3}: {scores}")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the line free for what is said of it."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave it drawn."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
