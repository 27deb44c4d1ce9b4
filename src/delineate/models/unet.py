"""A small plain U-Net."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Le, Len
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.arguments import Count, FractionBelowOne
from delineate.core.output import Output

Norm = Literal["batch", "instance", "group"]
Activation = Literal["relu", "leaky_relu", "gelu", "silu"]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
}


def unet(
    *,
    channels: int,
    classes: int,
    ndim: int,
    features: Annotated[tuple[Annotated[Count, Le(8192)], ...], Len(2, 12)] = (
        16,
        32,
        64,
        128,
        256,
    ),
    convs: Annotated[Count, Le(16)] = 2,
    norm: Norm = "batch",
    activation: Activation = "relu",
    residual: bool = False,
    dropout: FractionBelowOne = 0.0,
    deep_supervision: bool = False,
) -> nn.Module:
    """A plain U-Net (Ronneberger et al., MICCAI 2015), 2D and 3D, for images of any size.

    The encoder downsamples with strided convolutions. The decoder reduces the channels with a 1 x 1 convolution,
    upsamples linearly to the size of the skip connection, and concatenates the two.

    Args:
        channels: channels of the images.
        classes: channels of the logits.
        ndim: spatial axes, 2 or 3.
        features: channels at each level, full resolution first; each level halves the size.
        convs: 3-wide convolutions per level, in the encoder and in the decoder.
        norm: normalisation after each convolution; "group" (8 groups) or "instance" for small batches.
        activation: activation after each normalisation.
        residual: each level adds its input, through a 1 x 1 convolution, to its output.
        dropout: probability with which a level drops a channel during training.
        deep_supervision: during training, all levels except the deepest have logits of their own (`Output.sides`).
    """
    if ndim not in (2, 3):
        raise ValueError(f"unet supports 2 or 3 spatial axes; the data have {ndim}.")
    if len(features) < 2 or min(features) < 1:
        raise ValueError(
            f"features is {features}; expected two levels or more, each with at least one channel."
        )
    if convs < 1:
        raise ValueError(f"convs is {convs}; expected 1 or more.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; expected a probability below 1.")
    blocks = _Blocks(ndim, convs, norm, activation, residual, dropout)
    return _UNet(blocks, channels, classes, features, deep_supervision)


@dataclass(frozen=True)
class _Blocks:
    """Builds the blocks of one U-Net from their common arguments."""

    ndim: int
    convs: int
    norm: Norm
    activation: Activation
    residual: bool
    dropout: float

    def conv(
        self, before: int, after: int, width: int = 3, stride: int = 1, bias: bool = True
    ) -> nn.Module:
        kind: type[nn.Conv2d | nn.Conv3d] = nn.Conv2d if self.ndim == 2 else nn.Conv3d
        made = kind(before, after, width, stride, padding=width // 2, bias=bias)
        nn.init.kaiming_normal_(made.weight, mode="fan_in", nonlinearity="relu")
        if made.bias is not None:
            nn.init.zeros_(made.bias)
        return made

    def level(self, before: int, after: int, stride: int = 1) -> nn.Module:
        parts: list[nn.Module] = []
        for i in range(self.convs):
            first = i == 0
            parts += [
                self.conv(
                    before if first else after, after, stride=stride if first else 1, bias=False
                ),
                self._norm(after),
                _ACTIVATIONS[self.activation](),
            ]
        if self.residual:
            last = parts.pop()
            shortcut = self.conv(before, after, width=1, stride=stride)
            parts = [_Residual(nn.Sequential(*parts), shortcut, last)]
        if self.dropout:
            parts.append((nn.Dropout2d if self.ndim == 2 else nn.Dropout3d)(self.dropout))
        return nn.Sequential(*parts)

    def _norm(self, features: int) -> nn.Module:
        if self.norm == "group":
            return nn.GroupNorm(math.gcd(8, features), features)
        if self.norm == "instance":
            return (nn.InstanceNorm2d if self.ndim == 2 else nn.InstanceNorm3d)(
                features, affine=True
            )
        return (nn.BatchNorm2d if self.ndim == 2 else nn.BatchNorm3d)(features)


class _UNet(nn.Module):
    def __init__(
        self,
        blocks: _Blocks,
        channels: int,
        classes: int,
        features: tuple[int, ...],
        deep_supervision: bool,
    ) -> None:
        super().__init__()
        above = (channels, *features[:-1])
        self.down = nn.ModuleList(
            blocks.level(before, after, stride=1 if i == 0 else 2)
            for i, (before, after) in enumerate(zip(above, features, strict=True))
        )
        pairs = list(zip(features[:0:-1], features[-2::-1], strict=True))  # deepest first
        self.narrow = nn.ModuleList(blocks.conv(deep, here, width=1) for deep, here in pairs)
        self.up = nn.ModuleList(blocks.level(2 * here, here) for _, here in pairs)
        heads = features[-2::-1] if deep_supervision else features[:1]
        self.heads = nn.ModuleList(blocks.conv(here, classes, width=1) for here in heads)
        self._mode = "bilinear" if blocks.ndim == 2 else "trilinear"

    def forward(self, pixels: Tensor) -> Output[Tensor]:
        maps = [pixels]
        for level in self.down:
            maps.append(level(maps[-1]))
        here = maps.pop()
        ups = []
        for narrow, level in zip(self.narrow, self.up, strict=True):
            skip = maps.pop()
            wide = F.interpolate(narrow(here), skip.shape[2:], mode=self._mode)
            here = level(torch.cat([wide, skip], dim=1))
            ups.append(here)
        if not self.training:
            return Output(self.heads[-1](here))
        logits = [head(up) for head, up in zip(self.heads, ups[-len(self.heads) :], strict=True)]
        return Output(logits[-1], tuple(logits[-2::-1]))


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.activation = body, shortcut, activation

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.activation(self.body(maps) + self.shortcut(maps))
        return result
