"""Load cases with their truth and splits; one source of data per file."""

from __future__ import annotations

from delineate.core import Splits
from delineate.data._channels import opened_files
from delineate.data._files_as_cases import cases_of
from delineate.data._masks import PredictionMasks, align, prediction_masks
from delineate.data._paths import NotThereError
from delineate.data._run_length_masks import RunLengthMasks, class_labels, run_length_masks
from delineate.data._splits import split_cases
from delineate.data._tables import write_split
from delineate.data._values import MaskValues, Tolerance, Values, mask_values
from delineate.recipe import Recipe
from delineate.resolve import build

__all__ = [
    "MaskValues",
    "NotThereError",
    "PredictionMasks",
    "RunLengthMasks",
    "Tolerance",
    "Values",
    "align",
    "cases_of",
    "class_labels",
    "load_cases",
    "mask_values",
    "opened_files",
    "prediction_masks",
    "run_length_masks",
    "split_cases",
    "write_split",
]


def load_cases(recipe: Recipe) -> Splits:
    """The cases of a recipe, by split.

    Raises:
        RecipeError: data are missing, do not fit together, or cannot be split; with the place.
    """
    splits: Splits = build(
        "data",
        recipe.data,
        labels=recipe.labels,
        folder=recipe.folder,
        started=recipe.started,
        seed=recipe.seed,
        trust_shape="misplaced" in (recipe.audit.args.get("allow") or ()),
    )
    return splits
