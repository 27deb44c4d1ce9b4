"""PraNet: a coarse map of the lesion, refined three times by reverse attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.arguments import Text
from delineate.core.output import Output
from delineate.models import background_first
from delineate.models._weights import load_encoder, load_weights
from delineate.models.parts.pyramid import Pyramid, maps_of, pyramid, refuse_both, refuse_volumes

WIDTH = 32
"""Channels of the partial decoder."""


@background_first
def pranet(
    *,
    channels: int = 3,
    classes: int = 1,
    ndim: int = 2,
    encoder: Text = "res2net50d",
    pretrained: Text | None = None,
    weights: Text | None = None,
) -> nn.Module:
    """PraNet (Fan et al., MICCAI 2020, arXiv 2006.11392): parallel partial decoder and reverse attention; 2D.

    The logits are the finest of four maps, lateral_2; `Output.sides` are lateral_3, 4 and 5, all at the size of the
    image. The paper trains on the sum of four losses: `deep_supervision: equal`. Sizes are multiples of 32.

    With several classes, channel 0 is the background, and its probability is the reverse attention; the task is then
    semantic. The names and shapes of all weights but those of the last layers are the same as with one class.

    Args:
        channels: channels of the images.
        classes: channels of the logits; 1 for one label by sigmoid.
        ndim: spatial axes; 2.
        encoder: a timm name of an encoder with maps at the strides 8, 16 and 32. The default is the paper's
            Res2Net-50 v1b; official weights fit no other. resnet18 trains faster.
        pretrained: imagenet, downloaded once into timm's cache; or a file of the encoder's weights, whose classifier
            is ignored; or null for random weights.
        weights: a file of the weights of a whole PraNet, such as the official PraNet-19.pth. The classifier of its
            encoder (resnet.fc) is ignored.

    Raises:
        ValueError: an encoder that does not fit, or weights that are not available or do not fit.
    """
    refuse_volumes("pranet", ndim)
    refuse_both(pretrained, weights)
    made = pyramid("pranet", encoder, channels, pretrained, (8, 16, 32))
    if made.file:
        load_encoder(made.network, made.file, channels, whole=True)
    network = _PraNet(made, classes, f"pranet on {encoder}")
    if weights:
        load_weights(network, weights, without=("resnet.fc",))
    return network


class _PraNet(nn.Module):
    """The names of the layers are those of the official weights."""

    def __init__(self, encoder: Pyramid, classes: int, title: str) -> None:
        super().__init__()
        self._levels, self._title = encoder.levels, title
        w2, w3, w4 = encoder.widths
        self.resnet = encoder.network
        self.rfb2_1 = _ReceptiveField(w2)
        self.rfb3_1 = _ReceptiveField(w3)
        self.rfb4_1 = _ReceptiveField(w4)
        self.agg1 = _PartialDecoder(classes)
        self.ra4_conv1 = _ConvNorm(w4, 256, 1)
        self.ra4_conv2 = _ConvNorm(256, 256, 5)
        self.ra4_conv3 = _ConvNorm(256, 256, 5)
        self.ra4_conv4 = _ConvNorm(256, 256, 5)
        self.ra4_conv5 = _ConvNorm(256, classes, 1)
        self.ra3_conv1 = _ConvNorm(w3, 64, 1)
        self.ra3_conv2 = _ConvNorm(64, 64, 3)
        self.ra3_conv3 = _ConvNorm(64, 64, 3)
        self.ra3_conv4 = _ConvNorm(64, classes, 3)
        self.ra2_conv1 = _ConvNorm(w2, 64, 1)
        self.ra2_conv2 = _ConvNorm(64, 64, 3)
        self.ra2_conv3 = _ConvNorm(64, 64, 3)
        self.ra2_conv4 = _ConvNorm(64, classes, 3)

    def forward(self, pixels: Tensor) -> Output[Tensor]:
        f2, f3, f4 = maps_of(self.resnet, self._levels, pixels, self._title)
        s5 = self.agg1(self.rfb4_1(f4), self.rfb3_1(f3), self.rfb2_1(f2))

        coarse = _resized(s5, f4)
        here = self.ra4_conv1(f4 * _reverse(coarse))
        for conv in (self.ra4_conv2, self.ra4_conv3, self.ra4_conv4):
            here = conv(here).relu()
        s4 = self.ra4_conv5(here) + coarse

        coarse = _resized(s4, f3)
        here = self.ra3_conv1(f3 * _reverse(coarse))
        for conv in (self.ra3_conv2, self.ra3_conv3):
            here = conv(here).relu()
        s3 = self.ra3_conv4(here) + coarse

        coarse = _resized(s3, f2)
        here = self.ra2_conv1(f2 * _reverse(coarse))
        for conv in (self.ra2_conv2, self.ra2_conv3):
            here = conv(here).relu()
        s2 = self.ra2_conv4(here) + coarse

        lateral_2, *sides = [_resized(s, pixels) for s in (s2, s3, s4, s5)]
        return Output(lateral_2, tuple(sides))


def _reverse(logits: Tensor) -> Tensor:
    """(batch, 1, *spatial): where no lesion is said to be, the probability of the background."""
    return (-logits).sigmoid() if logits.shape[1] == 1 else logits.softmax(1)[:, :1]


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, like.shape[2:], mode="bilinear")


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=True)


class _ConvNorm(nn.Module):
    """A convolution and a batch norm, without activation, at the size of the input."""

    def __init__(
        self, before: int, after: int, size: int | tuple[int, int], dilation: int = 1
    ) -> None:
        super().__init__()
        height, width = (size, size) if isinstance(size, int) else size
        around = (dilation * (height // 2), dilation * (width // 2))
        self.conv = nn.Conv2d(
            before, after, (height, width), padding=around, dilation=dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(after)

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.bn(self.conv(maps))
        return result


class _ReceptiveField(nn.Module):
    """Branches of growing kernels and dilations, concatenated and added to the input (RFB)."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(_ConvNorm(before, WIDTH, 1))
        self.branch1, self.branch2, self.branch3 = (
            nn.Sequential(
                _ConvNorm(before, WIDTH, 1),
                _ConvNorm(WIDTH, WIDTH, (1, size)),
                _ConvNorm(WIDTH, WIDTH, (size, 1)),
                _ConvNorm(WIDTH, WIDTH, 3, dilation=size),
            )
            for size in (3, 5, 7)
        )
        self.conv_cat = _ConvNorm(4 * WIDTH, WIDTH, 3)
        self.conv_res = _ConvNorm(before, WIDTH, 1)

    def forward(self, maps: Tensor) -> Tensor:
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        joined = self.conv_cat(torch.cat([branch(maps) for branch in branches], 1))
        result: Tensor = (joined + self.conv_res(maps)).relu()
        return result


class _PartialDecoder(nn.Module):
    """Three maps, deepest first -> logits at the size of the finest one."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv_upsample1 = _ConvNorm(WIDTH, WIDTH, 3)
        self.conv_upsample2 = _ConvNorm(WIDTH, WIDTH, 3)
        self.conv_upsample3 = _ConvNorm(WIDTH, WIDTH, 3)
        self.conv_upsample4 = _ConvNorm(WIDTH, WIDTH, 3)
        self.conv_upsample5 = _ConvNorm(2 * WIDTH, 2 * WIDTH, 3)
        self.conv_concat2 = _ConvNorm(2 * WIDTH, 2 * WIDTH, 3)
        self.conv_concat3 = _ConvNorm(3 * WIDTH, 3 * WIDTH, 3)
        self.conv4 = _ConvNorm(3 * WIDTH, 3 * WIDTH, 3)
        self.conv5 = nn.Conv2d(3 * WIDTH, classes, 1)

    def forward(self, deep: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        deep2 = _doubled(deep)
        a2 = self.conv_upsample1(deep2) * middle
        a3 = self.conv_upsample2(_doubled(deep2)) * self.conv_upsample3(_doubled(middle)) * fine
        b2 = self.conv_concat2(torch.cat([a2, self.conv_upsample4(deep2)], 1))
        b3 = self.conv_concat3(torch.cat([a3, self.conv_upsample5(_doubled(b2))], 1))
        result: Tensor = self.conv5(self.conv4(b3))
        return result
