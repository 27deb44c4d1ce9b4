"""Pixel accuracy."""

import numpy as np

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth="scored", prediction="scored", both="scored"))
def pixel_accuracy(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of samples with the right label, background included: one number for the image, under "all".

    Large where the background is large, whatever was found: read it beside Dice, never alone. NaN where the
    truth marks every sample to be ignored.
    """
    matrix = counts(prediction, truth).matrix
    return {"all": Tally("ratio", (np.trace(matrix), matrix.sum()))}
