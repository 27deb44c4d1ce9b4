"""Tversky, and focal Tversky."""

from __future__ import annotations

from torch import Tensor

from delineate.arguments import NonNegative, Positive
from delineate.core.output import Output, Target
from delineate.losses._terms import Per, overlap, read


def tversky(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    alpha: NonNegative = 0.3,
    beta: NonNegative = 0.7,
    gamma: Positive = 1.0,
    per: Per = "batch",
    smooth: NonNegative = 1.0,
    background: bool = False,
) -> Tensor:
    """Dice with false findings and misses weighed apart (Salehi et al., MLMI 2017, eq. 3), averaged over labels.

    Args:
        output: logits; softmax over several channels, sigmoid of one.
        target: the truth.
        alpha: what a pixel found in error weighs; alpha = beta = 0.5 is Dice.
        beta: what a pixel missed weighs.
        gamma: exponent of each label's loss; 0.75 is focal Tversky (Abraham and Khan, ISBI 2019, whose gamma
            is its inverse, 4/3).
        per: as for dice.
        smooth: as for dice, whose smooth of 1 is 0.5 here.
        background: background counts as one of the labels (where it has a channel).
    """
    pair = read(output, target)
    common, prediction, truth = overlap(pair, per)
    wrong = alpha * (prediction - common) + beta * (truth - common)
    index = (common + smooth) / (common + wrong + smooth).clamp_min(1e-7)
    loss = 1 - (index if background else index[:, pair.first_label :])
    if gamma != 1:
        loss = loss.clamp_min(1e-6) ** gamma  # a power below one has no slope at 0
    return loss.mean()
