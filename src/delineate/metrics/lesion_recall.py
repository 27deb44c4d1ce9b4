"""Lesion-wise recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.arguments import FractionBelowOne
from delineate.metrics import Empty, traits
from delineate.metrics._overlaps import lesions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Lesion recall",
    meaning="Share of true lesions that were detected.",
    family="detection",
    needs=frozenset({"classes"}),
    things=True,
    place=150,
    empty=Empty(truth=None, prediction=0, both=None),
)
def lesion_recall(
    prediction: Segmentation, truth: Segmentation, *, iou: FractionBelowOne = 0.0
) -> dict[str, float]:
    """Share of true lesions that are detected, above an IoU of `iou`, for each label of kind thing (LiTS rules).

    True lesions with the same match are merged: they count once as detected, but separately as true. Pooled over cases
    it is the recall of LiTS; the default `iou` is its "greater zero".
    """
    n = lesions(prediction, truth, iou)
    return n.ratio(n.detected, n.true)
