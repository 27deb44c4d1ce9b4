"""A part of a whole, both summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._tally import added


def ratio(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Sum of the first number over sum of the second; NaN where the second sum is 0."""
    part, whole = np.moveaxis(added(parts, weights), -1, 0)
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole != 0))
