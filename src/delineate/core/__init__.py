"""The types that all other modules use. They need NumPy only, and every dataclass is frozen.

Each module is imported when one of its names is first used: a loss needs `Output` and no `Segmentation`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from delineate.core.case import Case, Splits
    from delineate.core.geometry import Geometry
    from delineate.core.image import Image
    from delineate.core.labels import Label, LabelSet
    from delineate.core.output import HEADS, Objects, Output, Probabilities, Target
    from delineate.core.segmentation import Instance, Segmentation
    from delineate.core.signatures import Network, Predictor, Refinement, Task

__all__ = [
    "HEADS",
    "Case",
    "Geometry",
    "Image",
    "Instance",
    "Label",
    "LabelSet",
    "Network",
    "Objects",
    "Output",
    "Predictor",
    "Probabilities",
    "Refinement",
    "Segmentation",
    "Splits",
    "Target",
    "Task",
]

_MODULES = {
    "case": ("Case", "Splits"),
    "geometry": ("Geometry",),
    "image": ("Image",),
    "labels": ("Label", "LabelSet"),
    "output": ("HEADS", "Objects", "Output", "Probabilities", "Target"),
    "segmentation": ("Instance", "Segmentation"),
    "signatures": ("Network", "Predictor", "Refinement", "Task"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"delineate.core.{module}"), name)
    raise AttributeError(f"module 'delineate.core' has no attribute {name!r}")
