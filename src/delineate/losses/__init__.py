"""Output x Target -> number: one loss per file.

A loss takes logits. One channel is one label against the rest (sigmoid); several channels are background and the
labels in order (softmax, unless the loss says otherwise). Pixels that are not valid are ignored. Sums are
float32, under mixed precision too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from delineate.losses._sum import Loss, load_loss
    from delineate.losses._terms import UnfitError

__all__ = ["Loss", "UnfitError", "load_loss"]

_HOMES = {"_sum": ("Loss", "load_loss"), "_terms": ("UnfitError",)}
"""Modules imported on first access, so that using one loss does not import the reading of recipes."""


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"delineate.losses.{home}"), name)
    raise AttributeError(f"module 'delineate.losses' has no attribute {name!r}")
