"""Dice at a threshold."""

import numpy as np

from delineate.core import Segmentation
from delineate.metrics._probabilities import probabilities
from delineate.metrics._tally import Tally
from delineate.metrics._traits import Empty, traits


@traits(needs="probabilities", empty=Empty(truth=0, prediction=0, both=None))
def dice_at(
    found: Segmentation, truth: Segmentation, *, threshold: float = 0.5
) -> dict[str, float]:
    """Dice of where a label's own probability reaches `threshold` (>=), per label.

    Each label is judged on its own, whichever is the likeliest; no refinement has touched it. `dice` is of the
    label map.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; expected a probability above 0, up to 1.")
    scores: dict[str, float] = {}
    for label, probability, there in probabilities(found, truth):
        here = probability >= threshold
        both, sizes = np.sum(here & there), np.sum(here) + np.sum(there)
        scores[label.name] = Tally("ratio", np.array([2 * both, sizes]))
    return scores
