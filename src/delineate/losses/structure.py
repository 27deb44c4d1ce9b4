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

    The weight of a pixel is 1 + 5 |local mean of the truth - truth|. With several channels, the loss is the mean over
    labels, each against the rest. Every image counts the same.

    Args:
        output: logits; sigmoid of each label's channel.
        target: the truth.
        width: pixels along each axis of the window of the local mean, odd; PraNet uses 31 at 352 pixels.
        weighted_bce: False averages the cross-entropy without weights, as PraNet's published code does.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width is {width}; expected an odd number of pixels.")
    pair = read(output, target)
    pair.refuse_image_level()
    logits, truth, valid = pair.logits[:, pair.first_label :], pair.label_maps(), pair.valid
    used = torch.ones_like(truth) if valid is None else valid[:, None].expand_as(truth)
    truth = truth * used
    weight = used * (1 + 5 * (_local_mean(truth, width) - truth).abs())
    axes = tuple(range(2, logits.ndim))
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    counts = weight if weighted_bce else used
    entropy = (counts * bce).sum(axes) / counts.sum(axes).clamp_min(1e-7)
    prediction = logits.sigmoid()
    intersection = (weight * prediction * truth).sum(axes)
    union = (weight * (prediction + truth)).sum(axes) - intersection
    return (entropy + 1 - (intersection + 1) / (union + 1)).mean()


def _local_mean(maps: Tensor, width: int) -> Tensor:
    """The mean over a window, with zeros outside the image; the window has width 1 along an axis of one sample."""
    window = [1 if n == 1 else width for n in maps.shape[2:]]
    padded = F.pad(maps, [n // 2 for n in reversed(window) for _ in range(2)])
    return (F.avg_pool2d if maps.ndim == 4 else F.avg_pool3d)(padded, window, stride=1)
