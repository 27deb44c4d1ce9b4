"""Dice that the model itself expects."""

import math

from delineate.core import Segmentation
from delineate.metrics._pair import check_pair
from delineate.metrics._traits import Empty, traits

SCORE = "expected dice of {label}"
"""The name under which a predictor leaves it among the scores of a segmentation."""


@traits(
    needs="scores",
    one_on_itself=False,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def expected_dice(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice that the model expects of its mask without seeing the truth, per label: beside Dice, whether it knows.

    NaN where nobody said, as with masks that are read from files.
    """
    check_pair(found, truth)
    return {
        name: found.scores.get(SCORE.format(label=name), math.nan) for name in truth.labels.names
    }
