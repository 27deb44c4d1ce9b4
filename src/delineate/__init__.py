"""Delineate delineates organs, lesions and polyps in medical images.

`verbs.check`, `verbs.train`, `verbs.evaluate` and `verbs.predict` are the command line's verbs as functions;
`load_bundle` gives a predictor, a function from a `Case` to a `Segmentation`. Names are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from delineate._version import __version__ as __version__

if TYPE_CHECKING:
    from delineate import verbs
    from delineate.bundle import load_bundle
    from delineate.core import Case, Geometry, Image, Instance, Label, LabelSet, Segmentation
    from delineate.data import cases_of, load_cases
    from delineate.files import read_image, read_mask, write_mask
    from delineate.recipe import load_recipe

__all__ = [
    "Case",
    "Geometry",
    "Image",
    "Instance",
    "Label",
    "LabelSet",
    "Segmentation",
    "cases_of",
    "load_bundle",
    "load_cases",
    "load_recipe",
    "read_image",
    "read_mask",
    "verbs",
    "write_mask",
]

_HOMES = {
    "delineate.bundle": ("load_bundle",),
    "delineate.core": (
        "Case",
        "Geometry",
        "Image",
        "Instance",
        "Label",
        "LabelSet",
        "Segmentation",
    ),
    "delineate.data": ("cases_of", "load_cases"),
    "delineate.files": ("read_image", "read_mask", "write_mask"),
    "delineate.recipe": ("load_recipe",),
}


def __getattr__(name: str) -> Any:
    if name == "verbs":
        return import_module("delineate.verbs")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'delineate' has no attribute {name!r}")
