"""Delineate delineates organs, lesions and polyps in medical images.

`train`, `evaluate`, `predict`, `compare`, `calibrate`, `convert` and `check` are the commands of the command line as
functions; `load_bundle` gives a predictor, a function from a `Case` to a `Segmentation`. Names are imported when first
used.

    import delineate

    run = delineate.train("recipes/polyp-quick.yaml")
    delineate.predict(run / "bundle", "images/", out="masks/")
    predictor = delineate.load_bundle(run / "bundle")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from delineate._version import __version__ as __version__
    from delineate.bundle import load_bundle
    from delineate.core import Case, Geometry, Image, Instance, Label, LabelSet, Segmentation
    from delineate.data import cases_of, load_cases
    from delineate.files import read_image, read_mask, write_mask
    from delineate.recipe import load_recipe
    from delineate.verbs import (
        calibrate,
        check,
        compare,
        convert,
        evaluate,
        evaluate_masks,
        predict,
        train,
    )

_HOMES = {
    "_version": ("__version__",),
    "bundle": ("load_bundle",),
    "core": ("Case", "Geometry", "Image", "Instance", "Label", "LabelSet", "Segmentation"),
    "data": ("cases_of", "load_cases"),
    "files": ("read_image", "read_mask", "write_mask"),
    "recipe": ("load_recipe",),
    "verbs": (
        "calibrate",
        "check",
        "compare",
        "convert",
        "evaluate",
        "evaluate_masks",
        "predict",
        "train",
    ),
}

__all__ = [
    "Case",
    "Geometry",
    "Image",
    "Instance",
    "Label",
    "LabelSet",
    "Segmentation",
    "calibrate",
    "cases_of",
    "check",
    "compare",
    "convert",
    "evaluate",
    "evaluate_masks",
    "load_bundle",
    "load_cases",
    "load_recipe",
    "predict",
    "read_image",
    "read_mask",
    "train",
    "write_mask",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"delineate.{home}"), name)
    raise AttributeError(f"module 'delineate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
