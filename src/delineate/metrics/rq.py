"""Recognition quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, Tally, traits
from delineate.metrics._panoptic import panoptic

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="RQ",
    meaning="Recognition quality: the F1 of object detection.",
    family="objects",
    needs=frozenset({"classes"}),
    place=130,
    empty=Empty(truth=0, prediction=0, both=None),
)
def rq(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Recognition quality, the F1 of matched segments: TP / (TP + FP / 2 + FN / 2), per label; PQ = SQ x RQ.

    Segments match as in `pq`.
    """
    n = panoptic(prediction, truth)
    whole = n.tp + (n.fp + n.fn) / 2
    return {name: Tally("ratio", parts) for name, *parts in zip(n.names, n.tp, whole, strict=True)}
