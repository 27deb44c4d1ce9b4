"""Image-level AUROC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, traits
from delineate.metrics._image_level import by_level, ranked
from delineate.metrics._ranks import area

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _pooled(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Chance that an image with the label has the higher probability, ties halved; NaN where either kind is missing.

    Parts are (known, probability, truth) of each image.
    """
    return area(*by_level(parts, weights))


@traits(
    title="Image-level AUROC",
    meaning=(
        "Probability that an image with the label is given a higher probability than one "
        "without it."
    ),
    family="image-level",
    needs=frozenset({"present"}),
    place=260,
    roles=frozenset({"compared", "on top"}),
    pooled=_pooled,
    pooled_only=True,
    empty=Empty(truth=None, prediction=None, both=None, note="read over images, never of one"),
)
def image_auroc(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level AUROC: the chance that an image with the label is given a higher probability than one without it.

    Ties count half (Mann-Whitney; Hanley & McNeil, Radiology 1982), so it equals scikit-learn's. Read over all images
    together: NaN where every image shows the label, or none does. Images whose truth is not known are left out.
    """
    return ranked(prediction, truth, "image_auroc")
