"""Recall."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=None, prediction=0, both=None))
def recall(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what is there that was found (sensitivity): TP / (TP + FN), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fn)
