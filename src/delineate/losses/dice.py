"""Soft Dice."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from delineate.arguments import NonNegative
from delineate.core.output import Output, Target
from delineate.losses._terms import Per, overlap, read


def dice(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    per: Per = "batch",
    smooth: NonNegative = 1.0,
    background: bool = False,
    absent: Literal["count", "zero"] = "count",
) -> Tensor:
    """One minus soft Dice, (2 common + smooth) / (found + truth + smooth), averaged over labels.

    Args:
        output: logits; softmax over several channels, sigmoid of one.
        target: the truth.
        per: numbers of pixels are summed over the whole batch, or over each image and the losses averaged.
            With gradient accumulation the batch is the one that fits; with several devices it is all of them.
        smooth: keeps labels of few pixels from jumping between 0 and 1.
        background: background counts as one of the labels (where it has a channel).
        absent: a label without a pixel in the truth counts like any other, so that finding it costs;
            or is 0 whatever is found, as smp has it.
    """
    pair = read(output, target)
    common, prediction, truth = overlap(pair, per)
    loss = 1 - (2 * common + smooth) / (prediction + truth + smooth).clamp_min(1e-7)
    if absent == "zero":
        loss = loss * (truth > 0)
    return (loss if background else loss[:, pair.first_label :]).mean()
