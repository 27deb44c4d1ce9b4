"""Relative volume error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Volume error",
    meaning=(
        "Difference between predicted and true size, relative to the true size. It does not depend on the "
        "position."
    ),
    family="volume",
    needs=frozenset({"classes"}),
    place=100,
    range=None,
    signed=True,
    empty=Empty(
        truth=None,
        prediction=-1,
        both=None,
        note="pooled over cases, what was predicted there counts",
    ),
)
def volume_error(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Relative error of the volume (area in 2D), signed: (prediction - truth) / truth, per label (LiTS: RVD).

    0.1 is 10 % too large; -1 is an empty prediction. NaN if the label is not in the truth. Errors may cancel, within a
    case and in a mean: do not use it without Dice.
    """
    n = counts(prediction, truth)
    return n.ratio(n.fp - n.fn, n.tp + n.fn)
