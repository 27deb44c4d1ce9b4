"""A network that refines one region of a prediction; `delineate refine fit` trains it."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Le, Len
from torch import Tensor, nn

from delineate.arguments import Count
from delineate.core.output import Output
from delineate.models.unet import unet

LARGEST_LOGIT = 6.0
"""The logits of the given probabilities are limited to this, so that a certain mistake can be undone."""


def region_refiner(
    *,
    channels: int,
    classes: int,
    ndim: int,
    features: Annotated[tuple[Annotated[Count, Le(8192)], ...], Len(2, 12)] = (16, 32, 64, 128),
    maps: Annotated[Count, Le(8192)] = 16,
) -> nn.Module:
    """A small U-Net that corrects the border and the label of one region of a prediction.

    Our own definition. The channels of its input are those of the image, then the probabilities of the prediction (one
    for each logit), then the signed distance to the border of the region, -1 to 1 within the band that may change and
    negative inside the region. The logits are those of the given probabilities, plus a correction near the border
    (weight 1 in the inner half of the band, falling to 0 at its ends), plus, with several labels, one number per label
    for the inside of the region, from the mean features and probabilities in it. The corrections begin at zero: an
    untrained network returns the given probabilities.

    Args:
        channels: channels of the input.
        classes: channels of the logits; 1 is one label by sigmoid.
        ndim: spatial axes, 2 or 3.
        features: channels of the U-Net at each level, full resolution first.
        maps: feature maps that the corrections are computed from.
    """
    if channels < classes + 2:
        raise ValueError(
            f"region_refiner refines what another model predicted; the data have {channels} channels, but it needs "
            f"those of an image, {classes} probabilities and one distance. Train it with delineate refine fit."
        )
    return _RegionRefiner(channels, classes, ndim, features, maps)


class _RegionRefiner(nn.Module):
    def __init__(
        self, channels: int, classes: int, ndim: int, features: tuple[int, ...], maps: int
    ) -> None:
        super().__init__()
        self.classes = classes
        self.body = unet(channels=channels, classes=maps, ndim=ndim, features=features)
        self.border = (nn.Conv2d if ndim == 2 else nn.Conv3d)(maps, classes, 1)
        self.label = nn.Linear(maps + classes, classes - 1) if classes > 2 else None
        for weights in (
            *self.border.parameters(),
            *(self.label.parameters() if self.label else ()),
        ):
            nn.init.zeros_(weights)

    def forward(self, pixels: Tensor) -> Output[Tensor]:
        given, distance = pixels[:, -self.classes - 1 : -1], pixels[:, -1:]
        maps = torch.relu(self.body(pixels).logits)
        near = (2 - 2 * distance.abs()).clamp(0, 1)
        correction = near * self.border(maps)
        if self.label is not None:
            inside = (distance < 0).to(maps.dtype)
            known = torch.cat([_mean_inside(maps, inside), _mean_inside(given, inside)], dim=1)
            votes = self.label(known)
            votes = votes - votes.mean(1, keepdim=True)  # moves the labels, not the foreground
            votes = torch.cat([torch.zeros_like(votes[:, :1]), votes], dim=1)
            correction = correction + inside * votes.reshape(*votes.shape, *[1] * (pixels.ndim - 2))
        return Output(logits_of(given) + correction)


def _mean_inside(maps: Tensor, inside: Tensor) -> Tensor:
    """The mean of maps (batch, channel, *spatial) over the samples inside: (batch, channel)."""
    return (maps * inside).flatten(2).sum(2) / inside.flatten(2).sum(2).clamp_min(1)


def logits_of(probabilities: Tensor) -> Tensor:
    """Limited logits of probabilities (batch, channel, *spatial): of one channel by sigmoid, of several by softmax."""
    if probabilities.shape[1] == 1:
        return torch.logit(probabilities.float(), eps=1e-7).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
    return probabilities.float().clamp_min(math.exp(-LARGEST_LOGIT)).log()
