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
        "Difference of the size found from the true size, relative to the true size. Says nothing of the "
        "place."
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
    """Relative error of the volume (area in 2D), signed: (found - truth) / truth, per label.

    0.1 is a tenth too much, -1 is nothing found (LiTS: RVD). NaN where the truth has none. Two errors may
    cancel, in a case and in a mean: read it beside Dice.
    """
    n = counts(prediction, truth)
    return n.ratio(n.fp - n.fn, n.tp + n.fn)
