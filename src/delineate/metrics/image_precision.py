"""Image-level precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._image_level import judge_decisions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Image-level precision",
    meaning="Share of the images said to show the label that do show it.",
    family="image-level",
    needs=frozenset({"present"}),
    place=290,
    pooled_only=True,
    empty=Empty(truth=0, prediction=None, both=None),
)
def image_precision(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level precision: of the images said to show the label, the share that does (positive predictive value).

    TP / (TP + FP) over images. It depends on how common the label is in the data. NaN where no image is said to show
    the label. Images whose truth is not known are left out.
    """
    return judge_decisions(
        prediction, truth, "ratio", lambda said, there: (int(said and there), int(said))
    )
