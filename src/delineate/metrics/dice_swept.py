"""Dice swept over thresholds."""

import numpy as np

from delineate.core import Segmentation
from delineate.metrics._probabilities import probabilities
from delineate.metrics._traits import Empty, traits


@traits(
    needs="probabilities",
    one_on_itself=False,
    empty=Empty(truth=None, prediction="scored", both=None),
)
def dice_swept(found: Segmentation, truth: Segmentation, *, levels: int = 256) -> dict[str, float]:
    """Mean Dice over all thresholds of the probability stretched to fill 0 to 1, per label.

    The "meanDic" of the polyp papers since PraNet (Fan et al., MICCAI 2020): each image's own least and largest
    probability become 0 and 1, rounded to `levels` grey values, and every one of them is a threshold (>=), the
    lowest too, which finds the whole image. Not `dice`, and not to be compared with it. NaN where the truth
    does not hold the label: stretched, every image has something that looks found.
    """
    if levels < 2:
        raise ValueError(f"levels is {levels}; expected at least 2 (256 for 8 bits).")
    return {
        label.name: _mean_dice(probability, there, levels) if there.any() else float("nan")
        for label, probability, there in probabilities(found, truth)
    }


def _mean_dice(probability: np.ndarray, there: np.ndarray, levels: int) -> float:
    low, high = probability.min(), probability.max()
    span = high - low if high > low else 1  # a constant map is found at the lowest threshold alone
    level = np.rint((probability - low) * ((levels - 1) / span)).astype(np.intp)
    found, right = (
        np.bincount(values, minlength=levels)[::-1].cumsum() for values in (level, level[there])
    )
    return float(np.mean(2 * right / (found + np.count_nonzero(there))))
