"""Intersection over union."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def iou(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Intersection over union (Jaccard): TP / (TP + FP + FN), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fp + n.fn)
