"""The progress bar of the whole run, and the log line of each epoch."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from delineate.progress import Progress, log
from delineate.training.callbacks.clock import Clock
from delineate.training.callbacks.metrics_csv import MetricsCsv
from delineate.training.callbacks.validate import Validation


class Bar(Callback):
    """Shows the progress in steps, or in seconds if the time is limited, with the latest loss and the best score.

    Must come after the callbacks Validation and MetricsCsv: it writes their figures of the epoch to the log.
    """

    def __init__(self, validation: Validation, clock: Clock, metrics_csv: MetricsCsv) -> None:
        self.validation = validation
        self.clock = clock
        self.metrics_csv = metrics_csv
        self.bar: Progress | None = None
        self.loss = math.nan

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the bar."""
        if not trainer.is_global_zero:
            return
        per_epoch = int(trainer.num_training_batches)
        total = per_epoch * (trainer.max_epochs or 1)
        timed = self.clock.seconds is not None
        self.bar = Progress(
            "training",
            round(self.clock.seconds or 0) if timed else total,
            "s" if timed else "step",
            done=round(self.clock.before) if timed else per_epoch * trainer.current_epoch,
            bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}"
            if not timed
            else "{desc} {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} s {postfix}",
            dynamic_ncols=True,
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar."""
        if self.bar is None:
            return
        timed = self.clock.seconds is not None
        spent = min(self.clock.elapsed, self.bar.total or 0) - self.bar.done if timed else 1
        if not batch_idx % 10:
            self.loss = outputs["value"].item()
        self.bar.update(spent, self._note(trainer) if not batch_idx % 10 else None)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the validation scores, and write the epoch to the log."""
        if self.bar is None:
            return
        self.bar.update(0, self._note(trainer))
        if self.validation.latest:
            scores = ", ".join(
                f"{name} {value:.3f}" for name, value in self.validation.latest.items()
            )
            self.bar.say(f"epoch {trainer.current_epoch + 1:>3}: {scores}")
        row = self.metrics_csv.rows[-1] if self.metrics_csv.rows else {}
        figures = ", ".join(f"{name} {value:.5g}" for name, value in row.items() if name != "epoch")
        best = "; new best" if self.validation.latest and not self.validation.waited else ""
        log(f"epoch {trainer.current_epoch + 1}: {figures}{best}")
        if trainer.should_stop:
            log(
                f"stopped early: no new best in the last {self.validation.waited} validations"
                if self.validation.patience is not None
                and self.validation.waited > self.validation.patience
                else "stopped: trainer.max_time is reached"
            )

    def _note(self, trainer: Trainer) -> str:
        best = self.validation.sign * self.validation.best
        known = f", best {self.validation.monitor} {best:.3f}" if math.isfinite(best) else ""
        return f"epoch {trainer.current_epoch + 1}, loss {self.loss:.3f}{known}"

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the error message starts on a new line."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the bar; it stays visible."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
