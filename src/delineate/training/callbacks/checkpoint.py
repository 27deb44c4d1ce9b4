"""A checkpoint that is always whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from delineate.files import whole_file


class Checkpoint(Callback):
    """Saves the run to `path` at the end of every epoch.

    Must be the last of the callbacks, so that it saves what the others learnt in this epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.over = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, and whether this was the end, so that a run that is over does not go on."""
        self.over = trainer.should_stop
        trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"over": self.over}


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and then over it: a kill at any moment leaves one whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write.

        Raises:
            OSError: the disk is full.
        """
        with whole_file(path) as part, open(part, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch says where in its own code it failed, not why
                reason = error.__context__
                raise reason if isinstance(reason, OSError) else error from None
