"""Specificity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Specificity",
    meaning=(
        "Share of the area or volume outside the label that was not predicted as the label. Near 1 if the "
        "background is large."
    ),
    family="rates",
    needs=frozenset({"classes"}),
    place=50,
    empty=Empty(truth="scored", prediction=1, both=1),
)
def specificity(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of samples outside the label that were not predicted as the label: TN / (TN + FP), per label.

    It is near 1 for every small object, since nearly all samples are true negatives: do not use it without recall. NaN
    if the label fills the image.
    """
    n = counts(prediction, truth)
    return n.ratio(n.tn, n.tn + n.fp)
