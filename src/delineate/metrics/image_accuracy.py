"""Image-level balanced accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, added, traits
from delineate.metrics._image_level import judge_decisions

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _pooled(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean of sensitivity and specificity; parts are (2, 2), decided by truth. NaN where either kind is missing."""
    matrix = added(parts, weights)
    there = matrix.sum(axis=1)
    right = np.diagonal(matrix, axis1=1, axis2=2)
    recall = np.divide(right, there, out=np.full_like(there, np.nan), where=there != 0)
    return np.asarray(recall.mean(axis=1))


@traits(
    title="Image-level balanced accuracy",
    meaning="Mean of image-level sensitivity and specificity; guessing gives 0.5.",
    family="image-level",
    needs=frozenset({"present"}),
    place=310,
    pooled=_pooled,
    pooled_only=True,
    empty=Empty(truth=None, prediction=None, both=None, note="read over images, never of one"),
)
def image_accuracy(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level balanced accuracy: the mean of sensitivity and specificity over images.

    Guessing gives 0.5, however common the label is (Brodersen et al., ICPR 2010). NaN where every image shows the
    label, or none does. Its tally holds the confusion matrix (2, 2), decided by truth. Images whose truth is not known
    are left out.
    """

    def matrix(said: bool, there: bool) -> np.ndarray:
        one = np.zeros((2, 2), np.int64)
        one[int(said), int(there)] = 1
        return one

    return judge_decisions(prediction, truth, "image_accuracy", matrix)
