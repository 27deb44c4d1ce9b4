"""F-beta score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from delineate.arguments import Positive
from delineate.metrics import Empty, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="F{beta}",
    meaning=(
        "Precision and recall in one number. A beta above 1 weights recall more than precision; 1 is "
        "Dice."
    ),
    family="overlap",
    needs=frozenset({"classes"}),
    place=60,
    empty=Empty(truth=0, prediction=0, both=None),
)
def f_beta(
    prediction: Segmentation, truth: Segmentation, *, beta: Positive = 2.0
) -> dict[str, float]:
    """Weighted harmonic mean of precision and recall: (1 + b²) TP / ((1 + b²) TP + b² FN + FP), per label.

    A `beta` of 1 is Dice; above 1, recall has more weight than precision (van Rijsbergen 1979).
    """
    if not 0 < beta < math.inf:
        raise ValueError(
            f"beta is {beta}; expected a number above 0 (2 favours recall; the recall metric is its limit)."
        )
    n = counts(prediction, truth)
    right = (1 + beta**2) * n.tp
    return n.ratio(right, right + beta**2 * n.fn + n.fp)
