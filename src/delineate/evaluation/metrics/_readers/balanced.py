"""Mean recall of a confusion matrix summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._tally import added


def balanced(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean recall of the classes that are there; parts are (class, class), found by truth. NaN of no class."""
    matrix = added(parts, weights)
    there = matrix.sum(axis=1)
    right = np.diagonal(matrix, axis1=1, axis2=2)
    recall = np.divide(right, there, out=np.zeros_like(there), where=there != 0)
    classes = np.count_nonzero(there, axis=1)
    return np.asarray(
        np.divide(recall.sum(axis=1), classes, out=np.full(len(matrix), np.nan), where=classes != 0)
    )
