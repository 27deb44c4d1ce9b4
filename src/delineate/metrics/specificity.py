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
        "Of what is not the label, the share that was rightly left alone. Near 1 wherever the background "
        "is large."
    ),
    family="rates",
    needs=frozenset({"classes"}),
    place=50,
    empty=Empty(truth="scored", prediction=1, both=1),
)
def specificity(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what is not there that was left alone: TN / (TN + FP), per label.

    Near 1 for every small object, since nearly all samples are true negatives: read it beside recall. NaN
    where the label fills the image.
    """
    n = counts(prediction, truth)
    return n.ratio(n.tn, n.tn + n.fp)
