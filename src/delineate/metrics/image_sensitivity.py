"""Image-level sensitivity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._image_level import judge_decisions

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Image-level sensitivity",
    meaning="Share of the images with the label in which it was recognised.",
    family="image-level",
    needs=frozenset({"present"}),
    place=270,
    roles=frozenset({"compared", "on top"}),
    pooled_only=True,
    empty=Empty(truth=None, prediction=0, both=None),
)
def image_sensitivity(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level sensitivity: of the images that show the label, the share in which it was recognised.

    TP / (TP + FN) over images. A prediction that is a mask says that the image shows what is in the mask. NaN where no
    image shows the label. Images whose truth is not known are left out.
    """
    return judge_decisions(
        prediction, truth, "ratio", lambda said, there: (int(said and there), int(there))
    )
