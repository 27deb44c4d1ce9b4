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
        "Share of pixels or voxels that are right, the background included, which dominates it."
    ),
    family="accuracy",
    needs=frozenset({"classes"}),
    place=240,
    empty=Empty(truth="scored", prediction="scored", both="scored"),
)
def pixel_accuracy(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of samples with the right label, background included: one number for the image, under "all".

    Large where the background is large, whatever was found: read it beside Dice, never alone. NaN where the
    truth marks every sample to be ignored.
    """
    matrix = counts(prediction, truth).matrix
    return {"all": Tally("ratio", (np.trace(matrix), matrix.sum()))}
