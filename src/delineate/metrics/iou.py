"""Intersection over union."""

from delineate.core import Segmentation
from delineate.metrics._counts import counts
from delineate.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def iou(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Intersection over union (Jaccard): TP / (TP + FP + FN), per label."""
    n = counts(found, truth)
    return n.ratio(n.tp, n.tp + n.fp + n.fn)
