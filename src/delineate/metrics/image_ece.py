"""Image-level expected calibration error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Le

from delineate.arguments import Count
from delineate.metrics import Empty, traits
from delineate.metrics._calibration import calibration_error, reliability
from delineate.metrics._image_level import stated

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Image-level ECE",
    meaning=(
        "Gap between the stated probability that an image shows the label and the share of "
        "images that do."
    ),
    family="calibration",
    needs=frozenset({"present"}),
    place=340,
    curve="reliability",
    pooled=calibration_error,
    lower_is_better=True,
    pooled_only=True,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def image_ece(
    prediction: Segmentation, truth: Segmentation, *, bins: Annotated[Count, Le(10_000)] = 10
) -> dict[str, float]:
    """Image-level ECE: the gap between the stated probability of the label and the share of images that show it.

    Over `bins` equal parts of 0 to 1, weighted by their images (Naeini et al., AAAI 2015, on the probability of the
    label). Few images in a bin make it large by chance: read it with its interval. Images whose truth is not known are
    left out.
    """
    return {
        name: reliability(
            [] if of is None else [(np.array([of[0]]), np.array([of[1]]))], bins, "image_ece"
        )
        for name, of in stated(prediction, truth)
    }
