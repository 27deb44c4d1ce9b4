"""Focal loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import Fraction, NonNegative
from delineate.core.output import Output, Target
from delineate.losses._terms import Per, mean, read, with_background


def focal(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    form: Literal["softmax", "sigmoid"] = "softmax",
    gamma: NonNegative = 2.0,
    alpha: Fraction | None = None,
    per: Per = "batch",
) -> Tensor:
    """Cross-entropy with a lower weight for pixels that are already right (Lin et al., ICCV 2017, eq. 5).

    Args:
        output: logits.
        target: the truth.
        form: "softmax" over the channels, averaged over pixels; or "sigmoid" of each channel against the rest,
            including background, averaged over pixels and channels, as smp does. One channel is the same in both.
        gamma: focusing parameter; 0 is cross-entropy.
        alpha: weight of labels (sigmoid: of the true channel); all else has weight 1 - alpha. 0.75 favours the
            labels; none gives all the weight 1.
        per: "batch" averages over the valid samples of all images of a batch together; "image" averages over those of
            each image, then over images. The two differ only where samples are ignored or labels unknown.
    """
    pair = read(output, target)
    alone = pair.classes is None and pair.logits.shape[1] == 1
    if form == "softmax" and not alone:
        classes = pair.exclusive(unless="form: sigmoid")
        log_p = F.log_softmax(with_background(pair.logits), 1).gather(1, classes[:, None])[:, 0]
        error = (-torch.expm1(log_p)).clamp_min(
            1e-12
        )  # a power below 1 has no finite gradient at 0
        loss = -log_p * error**gamma
        if alpha is not None:
            loss = loss * torch.where(classes > 0, alpha, 1 - alpha)
        return mean(loss, pair.valid, per)
    wrong = pair.one_vs_rest()
    each = F.softplus(wrong) * wrong.sigmoid() ** gamma
    if alpha is None:
        return mean(each, pair.valid, per)
    every = mean(each, pair.valid, per)
    return (1 - alpha) * every + (2 * alpha - 1) * pair.mean_at_truth(each, per)
