"""Image-level Brier score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, Tally, traits
from delineate.metrics._image_level import stated

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Image-level Brier score",
    meaning=(
        "Mean squared difference of the stated probability that an image shows the label from "
        "what is true."
    ),
    family="calibration",
    needs=frozenset({"present"}),
    place=330,
    lower_is_better=True,
    pooled_only=True,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def image_brier(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level Brier score: mean squared difference of the stated probability from what is true, over images.

    (p - t)² (Brier, Monthly Weather Review 1950). 0.25 is a coin's; a constant that equals the share q of images with
    the label has q (1 - q). Images whose truth is not known are left out.
    """
    return {
        name: Tally("ratio", (0.0, 0.0) if of is None else ((of[0] - of[1]) ** 2, 1.0))
        for name, of in stated(prediction, truth)
    }
