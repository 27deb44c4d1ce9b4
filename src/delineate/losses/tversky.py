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
    """Soft Dice with separate weights of false positives and negatives (Salehi et al., MLMI 2017, eq. 3).

    Averaged over labels.

    Args:
        output: logits; softmax over several channels, sigmoid of one.
        target: the truth.
        alpha: weight of false positives; alpha = beta = 0.5 is Dice.
        beta: weight of false negatives.
        gamma: exponent of each label's loss; 0.75 is focal Tversky (Abraham and Khan, ISBI 2019, who write it as
            1 / gamma with gamma = 4/3).
        per: as for dice.
        smooth: as for dice; 0.5 here corresponds to 1 there.
        background: background counts as one of the labels (if it has a channel).
    """
    pair = read(output, target)
    intersection, prediction, truth = overlap(pair, per)
    wrong = alpha * (prediction - intersection) + beta * (truth - intersection)
    index = (intersection + smooth) / (intersection + wrong + smooth).clamp_min(1e-7)
    loss = 1 - (index if background else index[:, pair.first_label :])
    if gamma != 1:
        loss = loss.clamp_min(1e-6) ** gamma  # a power below 1 has no finite gradient at 0
    return loss.mean()
