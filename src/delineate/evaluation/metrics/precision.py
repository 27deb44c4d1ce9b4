"""Precision."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=None, both=None))
def precision(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what was found that is there (positive predictive value): TP / (TP + FP), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fp)
