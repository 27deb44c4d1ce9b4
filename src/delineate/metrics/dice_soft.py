"""Soft Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, traits
from delineate.metrics._pair import probabilities

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Dice, soft",
    meaning=(
        "Dice of the probabilities themselves, without a threshold. Some polyp papers choose their best epoch by it."
    ),
    family="overlap",
    needs=frozenset({"classes", "probabilities"}),
    empty=Empty(
        truth=0, prediction="scored", both=0, note="left out only if every probability is exactly 0"
    ),
)
def dice_soft(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of the probabilities themselves: 2 Σ p t / (Σ p + Σ t), nothing squared or smoothed, per label.

    It is lower than `dice` where probabilities are not 0 or 1. If a label is not in the truth it is 0, however small
    the probabilities; NaN only if all are 0.
    """
    scores: dict[str, float] = {}
    for label, samples in probabilities(prediction, truth):
        both = sizes = 0.0
        for probability, there in samples:
            both += 2 * probability[there].sum(dtype=float)
            sizes += probability.sum(dtype=float) + np.count_nonzero(there)
        scores[label.name] = Tally("ratio", (both, sizes))
    return scores
