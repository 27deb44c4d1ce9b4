"""clDice of skeletons summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._tally import added


def cldice(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of topology precision and sensitivity.

    Parts are (4,): found skeleton in the truth, found skeleton, true skeleton in what was found, true skeleton.
    NaN where there is no skeleton at all.
    """
    a, found, b, true = np.moveaxis(added(parts, weights), -1, 0)
    below = a * true + b * found  # of a/found and b/true, multiplied out: 0 where either is empty
    score = np.divide(2 * a * b, below, out=np.zeros_like(below), where=below != 0)
    return np.where(found + true == 0, np.nan, score)
