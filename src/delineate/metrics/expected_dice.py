"""Dice that the model itself expects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._pair import check_pair

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Expected Dice",
    meaning=(
        "The Dice that the model itself expects from its probabilities, without seeing the truth."
    ),
    family="confidence",
    needs=frozenset({"classes", "probabilities"}),
    place=250,
    roles=frozenset({"beside"}),
    expects="dice",
    one_on_itself=False,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def expected_dice(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice that the model expects of its mask without seeing the truth, per label. Compare it with `dice`.

    NaN for a prediction without it, such as a mask from a file.
    """
    from delineate.core.scores import EXPECTED_DICE  # loaded by then: each side is one

    check_pair(prediction, truth)
    return {
        name: prediction.scores.get(EXPECTED_DICE.format(label=name), math.nan)
        for name in truth.labels.names
    }
