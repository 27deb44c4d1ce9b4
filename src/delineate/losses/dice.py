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
    squared: bool = False,
    absent: Literal["count", "zero"] = "count",
) -> Tensor:
    """One minus soft Dice, (2 intersection + smooth) / (prediction + truth + smooth), averaged over labels.

    Args:
        output: logits; softmax over several channels, sigmoid of one.
        target: the truth.
        per: "batch" sums pixels over the batch; "image" sums them over each image and averages the losses.
            The batch is that of one step before gradient accumulation, over all devices. So only "image" gives the
            same gradients however a batch is divided for accumulation.
        smooth: added to numerator and denominator; it stabilizes labels with few pixels.
        background: background counts as one of the labels (if it has a channel).
        squared: the denominator is the sum of squared probabilities (V-Net; Milletari et al., 3DV 2016); 0 and 1 are
            their own squares, so the truth counts the same.
        absent: a label without a pixel in the truth: "count" treats it like any other, so that false positives
            are penalized; "zero" sets its loss to 0, as smp does.
    """
    pair = read(output, target)
    intersection, prediction, truth = overlap(pair, per, squared=squared)
    loss = 1 - (2 * intersection + smooth) / (prediction + truth + smooth).clamp_min(1e-7)
    if absent == "zero":
        loss = loss * (truth > 0)
    return (loss if background else loss[:, pair.first_label :]).mean()
