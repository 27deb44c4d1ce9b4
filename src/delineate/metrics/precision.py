"""Precision."""

from delineate.core import Segmentation
from delineate.metrics._counts import counts


def precision(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what was found that is there (positive predictive value): TP / (TP + FP), per label."""
    n = counts(found, truth)
    return n.ratio(n.tp, n.tp + n.fp)
