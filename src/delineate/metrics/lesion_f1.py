"""Lesion-wise F1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.arguments import FractionBelowOne
from delineate.metrics import Empty, traits
from delineate.metrics._overlaps import lesions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Lesion F1",
    meaning="Recall and precision of lesions in one number.",
    family="detection",
    needs=frozenset({"classes"}),
    things=True,
    place=170,
    empty=Empty(truth=0, prediction=0, both=None),
)
def lesion_f1(
    prediction: Segmentation, truth: Segmentation, *, iou: FractionBelowOne = 0.0
) -> dict[str, float]:
    """F1 of lesions: 2 TP / (2 TP + FP + FN) above an IoU of `iou`, for each label of kind thing (LiTS rules).

    Lesions match as in `lesion_recall`.
    """
    n = lesions(prediction, truth, iou)
    return n.ratio(2 * n.detected, n.prediction + n.true)
