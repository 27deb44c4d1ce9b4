"""The weighted mean of each resample."""

from __future__ import annotations

import numpy as np


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of `values` (case,) under each row of weights (resample, case): (resample,); NaN if all weights are 0.

    >>> weighted_mean(np.array([1.0, 4.0]), np.array([[1, 1], [2, 1]]))
    array([2.5, 2. ])
    """
    total = weights.sum(axis=1)
    means = np.full(len(total), np.nan)
    np.divide(weights @ values, total, out=means, where=total != 0)
    return means
