"""The structure loss of polyp segmentation."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Le
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import OddCount
from delineate.core.output import Output, Target
from delineate.losses._terms import Pair, read


def structure(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    width: Annotated[OddCount, Le(1001)] = 31,
    weighted_bce: bool = True,
    union: bool = False,
) -> Tensor:
    """Cross-entropy plus soft IoU, both weighted towards the border (PraNet; Fan et al., MICCAI 2020, section 2.3).

    The weight of a pixel is 1 + 5 |local mean of the truth - truth|. With several labels, the loss is the mean over
    labels, each against the rest. Every image counts the same.

    Args:
        output: logits; softmax over several channels, sigmoid of one.
        target: the truth.
        width: pixels along each axis of the window of the local mean, odd; PraNet uses 31 at 352 pixels.
        weighted_bce: False averages the cross-entropy without weights, as PraNet's published code does.
        union: compare the union of all labels with the background instead of each label, for labels that exclude each
            other. It teaches where objects are, and leaves which they are to another loss, such as cross_entropy.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width is {width}; expected an odd number of pixels.")
    pair = read(output, target)
    pair.refuse_image_level()
    logits, truth = _union(pair) if union else (_against_the_rest(pair), pair.label_maps())
    valid = pair.valid
    used = torch.ones_like(truth) if valid is None else valid[:, None].expand_as(truth)
    truth = truth * used
    weight = used * (1 + 5 * (_local_mean(truth, width) - truth).abs())
    axes = tuple(range(2, logits.ndim))
    bce = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    counts = weight if weighted_bce else used
    entropy = (counts * bce).sum(axes) / counts.sum(axes).clamp_min(1e-7)
    prediction = logits.sigmoid()
    intersection = (weight * prediction * truth).sum(axes)
    either = (weight * (prediction + truth)).sum(axes) - intersection
    return (entropy + 1 - (intersection + 1) / (either + 1)).mean()


def _against_the_rest(pair: Pair) -> Tensor:
    """A logit for each label, whose sigmoid is the label's probability."""
    logits = pair.logits
    channels = logits.shape[1]
    if pair.classes is None or channels == 1:
        return logits
    others = [[c for c in range(channels) if c != label] for label in range(1, channels)]
    rest = torch.stack([logits[:, other].logsumexp(1) for other in others], 1)
    return logits[:, 1:] - rest


def _union(pair: Pair) -> tuple[Tensor, Tensor]:
    """A logit for the union of all labels, whose sigmoid is its probability, and its truth.

    Raises:
        UnfitError: the labels may overlap.
    """
    classes, logits = pair.exclusive("union: false"), pair.logits
    if logits.shape[1] > 1:
        logits = logits[:, 1:].logsumexp(1, keepdim=True) - logits[:, :1]
    return logits, (classes[:, None] > 0).to(logits.dtype)


def _local_mean(maps: Tensor, width: int) -> Tensor:
    """The mean over a window, with zeros outside the image; the window has width 1 along an axis of one sample.

    Sums over windows of 2, 4, 8 ... samples along one axis after the other make up the window: for 31 x 31 pixels on a
    CPU seventy times faster than average pooling, and sums of zeros and ones are exact.
    """
    samples = 1
    for axis in range(2, maps.ndim):
        n = maps.shape[axis]
        if n == 1:
            continue
        block = F.pad(maps, [0, 0] * (maps.ndim - 1 - axis) + [width // 2] * 2)
        maps, start = torch.zeros_like(maps), 0
        for size in (2**power for power in range(width.bit_length())):
            if size > 1:  # sums of `size` samples from sums of half as many
                kept = block.shape[axis] - size // 2
                block = block.narrow(axis, 0, kept) + block.narrow(axis, size // 2, kept)
            if width & size:
                maps = maps + block.narrow(axis, start, n)
                start += size
        samples *= width
    return maps / samples
