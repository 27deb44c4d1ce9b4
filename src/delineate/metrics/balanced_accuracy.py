"""Balanced accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, added, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _mean_recall(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean recall of the classes in the truth; parts are (class, class), prediction by truth. NaN without a class."""
    matrix = added(parts, weights)
    there = matrix.sum(axis=1)
    right = np.diagonal(matrix, axis1=1, axis2=2)
    recall = np.divide(right, there, out=np.zeros_like(there), where=there != 0)
    classes = np.count_nonzero(there, axis=1)
    return np.asarray(
        np.divide(recall.sum(axis=1), classes, out=np.full(len(matrix), np.nan), where=classes != 0)
    )


@traits(
    title="Balanced accuracy",
    meaning=(
        "Mean recall of all classes, background included. Large and small classes have the same weight."
    ),
    family="accuracy",
    needs=frozenset({"classes"}),
    place=230,
    pooled=_mean_recall,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def balanced_accuracy(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Mean recall of the classes that the truth holds, background included: one number, under "all".

    Its tally contains the confusion matrix (1 + label, 1 + label), prediction by truth, background first, then the
    labels in order; summed over cases it is the matrix of the whole set.
    """
    return {"all": Tally("balanced_accuracy", counts(prediction, truth).matrix)}
