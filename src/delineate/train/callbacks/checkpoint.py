"""A checkpoint that is always whole."""

from __future__ import annotations

import os
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


class Checkpoint(Callback):
    """Writes `path` at the end of every epoch, beside and then over the old one: a kill at any moment leaves one whole.

    Must be the last of the callbacks, so that it saves what the others learnt in this epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save."""
        part = self.path.with_suffix(".part")
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            os.replace(part, self.path)
