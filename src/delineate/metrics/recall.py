"""Recall."""

from delineate.core import Segmentation
from delineate.metrics._counts import counts
from delineate.metrics._traits import Empty, traits


@traits(empty=Empty(truth=None, prediction=0, both=None))
def recall(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what is there that was found (sensitivity): TP / (TP + FN), per label."""
    n = counts(found, truth)
    return n.ratio(n.tp, n.tp + n.fn)
