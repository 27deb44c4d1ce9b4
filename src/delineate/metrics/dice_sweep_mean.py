"""Mean Dice over all thresholds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le

from delineate.arguments import WholeNumber
from delineate.metrics import Empty, traits
from delineate.metrics._pair import Samples, probabilities

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Dice, mean over thresholds",
    meaning=(
        "Mean of the Dice over all thresholds, after probabilities were rescaled to 0 to 1 in each image. PraNet and "
        "many polyp papers since call it meanDic. It is often lower than Dice at "
        "0.5, and higher where probabilities stay below 0.5."
    ),
    family="overlap",
    needs=frozenset({"classes", "probabilities"}),
    one_on_itself=False,
    empty=Empty(truth=None, prediction="scored", both=None),
)
def dice_sweep_mean(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    levels: Annotated[WholeNumber, Ge(2), Le(2**16)] = 256,
) -> dict[str, float]:
    """Mean Dice over all thresholds, of probabilities that are rescaled to 0 to 1 in each image, per label.

    The "meanDic" of the polyp papers since PraNet (Fan et al., MICCAI 2020): the least and largest probability of each
    image become 0 and 1, rounded to `levels` grey values, and each of these is a threshold (>=); at the lowest, the
    whole image is positive. Do not compare it with `dice`, `dice_at` or `dice_soft`. NaN if the label is not in the
    truth, since rescaled probabilities always contain positives.
    """
    if levels < 2:
        raise ValueError(f"levels is {levels}; expected at least 2 (256 for 8 bits).")
    return {
        label.name: _mean_dice(samples, levels)
        for label, samples in probabilities(prediction, truth)
    }


def _mean_dice(samples: Samples, levels: int) -> float:
    if not any(there.any() for _, there in samples):
        return math.nan
    low = min(probability.min() for probability, _ in samples)
    high = max(probability.max() for probability, _ in samples)
    span = (
        high - low if high > low else 1
    )  # a constant map is positive at the lowest threshold only
    counted = np.zeros((2, levels), np.int64)
    for probability, there in samples:
        level = np.rint((probability - low) * ((levels - 1) / span)).astype(np.intp)
        for row, values in zip(counted, (level, level[there]), strict=True):
            row += np.bincount(values, minlength=levels)
    positive, right = counted[:, ::-1].cumsum(axis=1)
    return float(np.mean(2 * right / (positive + right[-1])))
