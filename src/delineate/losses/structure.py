"""The structure loss of polyp segmentation."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Le
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import OddCount
from delineate.core.output import Output, Target
from delineate.losses._terms import read


def structure(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    width: Annotated[OddCount, Le(1001)] = 31,
    weighted_bce: bool = True,
) -> Tensor:
    """Cross-entropy plus soft IoU, both weighted towards the border (PraNet; Fan et al., MICCAI 2020, section 2.3).

    A pixel weighs 1 + 5 |mean of the truth around it - its truth|. Several channels: the mean over labels, each
    against the rest.

    Args:
        output: logits; sigmoid of each label's channel.
        target: the truth.
        width: pixels along each axis of the window the mean is taken over, odd; 31 is PraNet's at 352 pixels.
        weighted_bce: False averages the cross-entropy unweighted, which is what PraNet's published code runs.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width is {width}; expected an odd number of pixels.")
    pair = read(output, target)
    pair.refuse_image_level()
    logits, truth, valid = pair.logits[:, pair.first_label :], pair.label_maps(), pair.valid
    there = torch.ones_like(truth) if valid is None else valid[:, None].expand_as(truth)
    truth = truth * there
    weight = there * (1 + 5 * (_mean_around(truth, width) - truth).abs())
    axes = tuple(range(2, logits.ndim))
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    if weighted_bce:
        entropy = (weight * bce).sum(axes) / weight.sum(axes).clamp_min(1e-7)
    else:
        entropy = (there * bce).sum() / there.sum().clamp_min(1)
    prediction = logits.sigmoid()
    common = (weight * prediction * truth).sum(axes)
    either = (weight * (prediction + truth)).sum(axes) - common
    return (entropy + 1 - (common + 1) / (either + 1)).mean()


def _mean_around(maps: Tensor, width: int) -> Tensor:
    """The mean over a window, with zeros outside the image; an axis of one sample has no around."""
    window = [1 if n == 1 else width for n in maps.shape[2:]]
    padded = F.pad(maps, [n // 2 for n in reversed(window) for _ in range(2)])
    return (F.avg_pool2d if maps.ndim == 4 else F.avg_pool3d)(padded, window, stride=1)
