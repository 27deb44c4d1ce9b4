"""Precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Precision",
    meaning="Share of the predicted area or volume that is right (positive predictive value).",
    family="rates",
    needs=frozenset({"classes"}),
    place=30,
    roles=frozenset({"beside"}),
    empty=Empty(truth=0, prediction=None, both=None),
)
def precision(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of predicted samples that are right (positive predictive value): TP / (TP + FP), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fp)
