"""Panoptic quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, Tally, traits
from delineate.metrics._panoptic import panoptic

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="PQ",
    meaning="Panoptic quality: objects matched one by one (IoU above 0.5), SQ times RQ.",
    family="objects",
    needs=frozenset({"classes"}),
    place=110,
    empty=Empty(truth=0, prediction=0, both=None),
)
def pq(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Panoptic quality: summed IoU of matched segments / (TP + FP / 2 + FN / 2), per label (Kirillov, CVPR 2019).

    Segments match above an IoU of 0.5. Pooled over cases it equals panopticapi's PQ, also if the truth ignores samples
    or has crowds. It is computed for each label; PQ of things and of stuff are means over labels.
    """
    n = panoptic(prediction, truth)
    whole = n.tp + (n.fp + n.fn) / 2
    return {name: Tally("ratio", parts) for name, *parts in zip(n.names, n.iou, whole, strict=True)}
