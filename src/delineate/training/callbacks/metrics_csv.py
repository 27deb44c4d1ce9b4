"""metrics.csv: one row per epoch."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from delineate.files import whole_file
from delineate.training.callbacks.clock import Clock
from delineate.training.callbacks.validate import Validation


class MetricsCsv(Callback):
    """Writes epoch, training loss, validation scores, learning rate and seconds; and sends them to the loggers."""

    def __init__(self, path: Path, validation: Validation, clock: Clock) -> None:
        self.path = path
        self.validation = validation
        self.clock = clock
        self.rows: list[dict[str, float]] = []
        self.losses: list[torch.Tensor] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss. It is read at the end of the epoch, so that no step waits for the GPU."""
        self.losses.append(outputs["value"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row."""
        if not self.losses:
            return
        loss = trainer.strategy.reduce(torch.stack(self.losses).float().mean(), reduce_op="mean")
        row = {
            "epoch": trainer.current_epoch + 1,
            "train/loss": float(loss),
            **self.validation.latest,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(self.clock.elapsed, 1),
        }
        self.losses = []
        self.rows.append(row)
        for logger in trainer.loggers:
            logger.log_metrics(
                {k: v for k, v in row.items() if k != "epoch"}, step=trainer.current_epoch + 1
            )
        if trainer.is_global_zero:
            self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        columns.sort(key=lambda c: (c in ("lr", "seconds"), c.startswith("val/"), c != "epoch"))
        with whole_file(self.path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The state that the checkpoint holds."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows from the checkpoint; rows written after it are dropped."""
        self.rows = list(state_dict["rows"])
