"""Dice at a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.arguments import FractionAboveZero
from delineate.metrics import Empty, Tally, traits
from delineate.metrics._pair import probabilities

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Dice at a threshold",
    meaning=(
        "Dice of the mask of all pixels or voxels whose probability reaches a threshold: at 0.5 what most papers call "
        "Dice."
    ),
    family="overlap",
    needs=frozenset({"classes", "probabilities"}),
    empty=Empty(truth=0, prediction=0, both=None),
)
def dice_at(
    prediction: Segmentation, truth: Segmentation, *, threshold: FractionAboveZero = 0.5
) -> dict[str, float]:
    """Dice of the mask where a label's own probability reaches `threshold` (>=), per label.

    Labels are independent of each other, and refinements are not applied. `dice` is that of the label map.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a probability above 0, up to 1.")
    scores: dict[str, float] = {}
    for label, samples in probabilities(prediction, truth):
        both, sizes = np.int64(0), np.int64(0)
        for probability, there in samples:
            here = probability >= threshold
            both += np.count_nonzero(here & there)
            sizes += np.count_nonzero(here) + np.count_nonzero(there)
        scores[label.name] = Tally("ratio", np.array([2 * both, sizes]))
    return scores
