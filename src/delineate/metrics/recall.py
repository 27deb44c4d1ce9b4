"""Recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Recall",
    meaning="Share of the true area or volume that was predicted (sensitivity).",
    family="rates",
    needs=frozenset({"classes"}),
    place=40,
    roles=frozenset({"beside", "on top", "overview"}),
    empty=Empty(truth=None, prediction=0, both=None),
)
def recall(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of true samples that were predicted (sensitivity): TP / (TP + FN), per label."""
    n = counts(prediction, truth)
    return n.ratio(n.tp, n.tp + n.fn)
