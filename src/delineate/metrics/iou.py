"""Intersection over union."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="IoU",
    meaning=(
        "Overlap: the intersection of prediction and truth, divided by their union. Never above Dice."
    ),
    family="overlap",
    needs=frozenset({"classes"}),
    place=20,
    roles=frozenset({"empty means", "overview"}),
    empty=Empty(truth=0, prediction=0, both=None),
)
def iou(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Intersection over union (Jaccard): TP / (TP + FP + FN), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fp + n.fn)
