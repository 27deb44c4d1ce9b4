"""Dice that the model itself expects."""

import math

from delineate.core import Segmentation
from delineate.core.segmentation import EXPECTED_DICE
from delineate.evaluation.metrics._pair import check_pair
from delineate.evaluation.metrics._traits import Empty, traits


@traits(
    needs="scores",
    one_on_itself=False,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def expected_dice(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice that the model expects of its mask without seeing the truth, per label: beside Dice, whether it knows.

    NaN where nobody said, as with masks that are read from files.
    """
    check_pair(prediction, truth)
    return {
        name: prediction.scores.get(EXPECTED_DICE.format(label=name), math.nan)
        for name in truth.labels.names
    }
