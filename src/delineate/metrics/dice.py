"""Dice similarity coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Dice",
    meaning=(
        "Overlap of prediction and truth: twice the shared area or volume, divided by the sum of both. 1 "
        "is perfect, 0 means no overlap. Images without the label in truth and prediction are left out."
    ),
    family="overlap",
    needs=frozenset({"classes"}),
    place=10,
    roles=frozenset({"compared", "empty means", "overview"}),
    empty=Empty(truth=0, prediction=0, both=None),
)
def dice(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of hard labels: 2 TP / (2 TP + FP + FN), per label (Dice, Ecology 1945)."""
    n = counts(prediction, truth)
    return n.ratio(2 * n.tp, 2 * n.tp + n.fp + n.fn)
