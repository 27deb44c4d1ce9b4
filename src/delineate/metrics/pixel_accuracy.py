"""Pixel accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, traits
from delineate.metrics._counts import counts

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Pixel accuracy",
    meaning=(
        "Share of pixels or voxels with the right class. The background is included, and dominates it."
    ),
    family="accuracy",
    needs=frozenset({"classes"}),
    place=240,
    roles=frozenset({"overview"}),
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def pixel_accuracy(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of samples with the right label, background included: one number for the image, under "all".

    It is large if the background is large, whatever the prediction: do not use it without Dice. NaN if the truth marks
    every sample as ignored.
    """
    matrix = counts(prediction, truth).matrix
    return {"all": Tally("ratio", (np.trace(matrix), matrix.sum()))}
