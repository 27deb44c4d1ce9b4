"""Image-level specificity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._image_level import judge_decisions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Image-level specificity",
    meaning="Share of the images without the label in which nothing was taken for it.",
    family="image-level",
    needs=frozenset({"present"}),
    place=280,
    roles=frozenset({"compared", "on top"}),
    pooled_only=True,
    empty=Empty(truth=0, prediction=None, both=1),
)
def image_specificity(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level specificity: of the images without the label, the share in which nothing was taken for it.

    TN / (TN + FP) over images. A prediction that is a mask says that the image shows what is in the mask. NaN where
    every image shows the label. Images whose truth is not known are left out.
    """
    return judge_decisions(
        prediction,
        truth,
        "ratio",
        lambda said, there: (int(not said and not there), int(not there)),
    )
