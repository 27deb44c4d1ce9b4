"""Post-processing, Segmentation -> Segmentation: one step per file.

Steps run on the grid of the file, in the order of the recipe. `Segmentation.changed` replaces the label map of a
segmentation and adapts its instances and probabilities.
"""

from collections.abc import Sequence

from delineate.core import Refinement
from delineate.resolve import Call, build

__all__ = ["load_refine"]


def load_refine(calls: Sequence[Call]) -> tuple[Refinement, ...]:
    """Build the steps that a recipe names, in order."""
    return tuple(build("refine", call) for call in calls)
