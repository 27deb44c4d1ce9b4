"""Focal loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import Fraction, NonNegative
from delineate.core.output import Output, Target
from delineate.losses._terms import mean, read, with_background


def focal(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    form: Literal["softmax", "sigmoid"] = "softmax",
    gamma: NonNegative = 2.0,
    alpha: Fraction | None = None,
) -> Tensor:
    """Cross-entropy that looks away from what is right already (Lin et al., ICCV 2017, eq. 5).

    Args:
        output: logits.
        target: the truth.
        form: one softmax over the channels, averaged over pixels; or each channel against the rest by
            sigmoid, background too, averaged over pixels and channels, as smp has it. One channel is the
            same in both.
        gamma: how far it looks away; 0 is cross-entropy.
        alpha: weight of what is a label (sigmoid: of the true channel), 1 - alpha of what is not; 0.75
            favours the labels; none weighs all as 1.
    """
    pair = read(output, target)
    alone = pair.classes is None and pair.logits.shape[1] == 1
    if form == "softmax" and not alone:
        classes = pair.exclusive(unless="form: sigmoid")
        log_p = F.log_softmax(with_background(pair.logits), 1).gather(1, classes[:, None])[:, 0]
        doubt = (-torch.expm1(log_p)).clamp_min(1e-12)  # a power below one has no slope at 0
        loss = -log_p * doubt**gamma
        if alpha is not None:
            loss = loss * torch.where(classes > 0, alpha, 1 - alpha)
        return mean(loss, pair.valid)
    wrong = pair.one_vs_rest()
    each = F.softplus(wrong) * wrong.sigmoid() ** gamma
    if alpha is None:
        return mean(each, pair.valid)
    return (1 - alpha) * mean(each, pair.valid) + (2 * alpha - 1) * pair.mean_at_truth(each)
