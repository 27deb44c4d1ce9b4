"""Dice with 1 where truth and prediction are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, traits
from delineate.metrics.dice import dice

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Dice, both empty 1",
    meaning=(
        "Dice that counts an image without the label in truth and prediction as 1, as many challenges do. For the "
        "whole image it is the mean over the labels, so that its mean is that over all images and labels. It is "
        "higher than Dice where a label is rare."
    ),
    family="overlap",
    needs=frozenset({"classes"}),
    empty=Empty(truth=0, prediction=0, both=1),
)
def dice_empty1(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of hard labels, 1 if truth and prediction are empty: per label, and under "all" the mean over the labels.

    The mean of "all" over the images is the mean over image x label. It is reported to be the score of the challenges
    NeoPolyp (BKAI-IGH) and SIIM-ACR; this was not checked against their pages. Compare it only with scores of this
    kind.
    """
    scores = {label: float(1 if np.isnan(s) else s) for label, s in dice(prediction, truth).items()}
    return scores | ({"all": sum(scores.values()) / len(scores)} if len(scores) > 1 else {})
