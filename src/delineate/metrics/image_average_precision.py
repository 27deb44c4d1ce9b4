"""Image-level average precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, traits
from delineate.metrics._image_level import by_level, ranked

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _pooled(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean precision at the images with the label; images of equal probability count together. NaN without either kind.

    Parts are (known, probability, truth) of each image.
    """
    absent, present = by_level(parts, weights)
    true = present[:, ::-1].cumsum(axis=1)[:, ::-1]
    false = absent[:, ::-1].cumsum(axis=1)[:, ::-1]
    precision = np.divide(true, true + false, out=np.zeros_like(true), where=true > 0)
    with_label = present.sum(axis=1)
    known = (with_label > 0) & (absent.sum(axis=1) > 0)
    summed = (precision * present).sum(axis=1)
    return np.asarray(np.divide(summed, with_label, out=np.full(len(summed), np.nan), where=known))


@traits(
    title="Image-level average precision",
    meaning="Precision averaged over the images with the label, from the surest downwards.",
    family="image-level",
    needs=frozenset({"present"}),
    place=320,
    pooled=_pooled,
    pooled_only=True,
    empty=Empty(truth=None, prediction=None, both=None, note="read over images, never of one"),
)
def image_average_precision(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Image-level average precision: precision averaged over the images with the label, as the threshold is lowered.

    Σ (R_n - R_n-1) P_n without interpolation, equal probabilities together, as scikit-learn. Of random probabilities it
    is the share of images with the label, so values of data sets with other shares do not compare. NaN where every
    image shows the label, or none does. Images whose truth is not known are left out.
    """
    return ranked(prediction, truth, "image_average_precision")
