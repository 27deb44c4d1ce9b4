"""Save checkpoints so that a killed process never leaves a damaged one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO

from delineate.files import whole_file


class Checkpoint(Callback):
    """Saves the run to `path` at the end of every epoch.

    Must be the last of the callbacks, so that it saves their states of this epoch.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.over = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the checkpoint, and whether training has ended, so that a finished run is not continued."""
        self.over = trainer.should_stop
        trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        """The state that the checkpoint holds."""
        return {"over": self.over}


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file and then replaces the old one: a kill leaves the old or the new one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OSError: the disk is full.
        """
        with whole_file(path) as part, open(part, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except (
                RuntimeError
            ) as error:  # torch names the line of its own code, and not the reason
                reason = error.__context__
                raise reason if isinstance(reason, OSError) else error from None
