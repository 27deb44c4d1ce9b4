"""Relative volume error."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._traits import Empty, traits


@traits(
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
