"""Segmentation -> better Segmentation: one post-processing step per file.

Steps run on the grid of the file, in the order of the recipe. `Segmentation.changed` gives a segmentation another
label map, and makes its instances and probabilities agree with it.
"""

from collections.abc import Sequence

from delineate.core import Refinement
from delineate.resolve import Call, build

__all__ = ["load_refine"]


def load_refine(calls: Sequence[Call]) -> tuple[Refinement, ...]:
    """The steps a recipe names, in order."""
    return tuple(build("refine", call) for call in calls)
