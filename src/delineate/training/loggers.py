"""Loggers that receive the training curves besides metrics.csv."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from delineate.arguments import Text

__all__ = ["tensorboard", "wandb"]


def tensorboard(run: Path) -> Logger:
    """TensorBoard event files in the run's folder `tensorboard/`."""
    return TensorBoardLogger(save_dir=run, name="", version="tensorboard", default_hp_metric=False)


def wandb(
    run: Path, project: Text = "delineate", offline: bool = False, entity: Text | None = None
) -> Logger:
    """Weights & Biases; `offline` writes to the run's folder, to synchronise later."""
    try:
        return WandbLogger(
            save_dir=run, name=run.name, project=project, offline=offline, entity=entity
        )
    except ModuleNotFoundError as error:
        raise ValueError(
            "the logger wandb needs its package: pip install 'delineate[wandb]'."
        ) from error
