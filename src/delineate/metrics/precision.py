"""Precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Precision",
    meaning="Of what was found, the share that is true (positive predictive value).",
    family="rates",
    needs=frozenset({"classes"}),
    place=30,
    roles=frozenset({"beside"}),
    empty=Empty(truth=0, prediction=None, both=None),
)
def precision(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what was found that is there (positive predictive value): TP / (TP + FP), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fp)
