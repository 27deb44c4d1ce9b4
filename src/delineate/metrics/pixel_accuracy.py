"""Pixel accuracy."""

import numpy as np

from delineate.core import Segmentation
from delineate.metrics._counts import counts


def pixel_accuracy(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of samples with the right label, background included: one number for the image, under "all".

    Large where the background is large, whatever was found: read it beside Dice, never alone. NaN where the
    truth marks every sample to be ignored.
    """
    matrix = counts(found, truth).matrix
    total = matrix.sum()
    return {"all": float(np.trace(matrix) / total) if total else float("nan")}
