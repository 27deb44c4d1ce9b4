"""Lesion-wise precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.arguments import FractionBelowOne
from delineate.metrics import Empty, traits
from delineate.metrics._overlaps import lesions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Lesion precision",
    meaning="Share of predicted lesions that match a true one.",
    family="detection",
    needs=frozenset({"classes"}),
    things=True,
    place=160,
    empty=Empty(truth=0, prediction=None, both=None),
)
def lesion_precision(
    prediction: Segmentation, truth: Segmentation, *, iou: FractionBelowOne = 0.0
) -> dict[str, float]:
    """Share of predicted lesions that detect a true one, above an IoU of `iou`, per label of kind thing (LiTS rules).

    Lesions match as in `lesion_recall`.
    """
    n = lesions(prediction, truth, iou)
    return n.ratio(n.detected, n.prediction)
