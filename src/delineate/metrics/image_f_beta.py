"""Image-level F-beta score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from delineate.arguments import Positive
from delineate.metrics import Empty, traits
from delineate.metrics._image_level import judge_decisions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Image-level F{beta}",
    meaning=(
        "Image-level precision and sensitivity in one number; a beta above 1 weighs a missed "
        "image more than a false alarm."
    ),
    family="image-level",
    needs=frozenset({"present"}),
    place=300,
    pooled_only=True,
    empty=Empty(truth=0, prediction=0, both=None),
)
def image_f_beta(
    prediction: Segmentation, truth: Segmentation, *, beta: Positive = 2.0
) -> dict[str, float]:
    """Image-level F-beta: precision and sensitivity over images in one number.

    (1 + b²) TP / ((1 + b²) TP + b² FN + FP). A `beta` of 2 weighs a missed image more than a false alarm
    (van Rijsbergen 1979). NaN where no image shows the label and none is said to. Images whose truth is not known are
    left out.
    """
    if not 0 < beta < math.inf:
        raise ValueError(
            f"beta is {beta}; expected a number above 0 (2 weighs a missed image more than a false alarm)."
        )

    def parts(said: bool, there: bool) -> tuple[float, float]:
        right = (1 + beta**2) * (said and there)
        return right, right + beta**2 * (there and not said) + (said and not there)

    return judge_decisions(prediction, truth, "ratio", parts)
