"""EMCAD: an efficient decoder of multi-scale depthwise convolutions and attention, on a pyramid of features."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from annotated_types import Le
from torch import Tensor, nn
from torch.nn import functional as F

from delineate.arguments import Count, FractionBelowOne, Text
from delineate.core.output import Output
from delineate.models._weights import load_encoder, load_weights
from delineate.models.parts.pvt_v2 import PvtV2, has_official_names
from delineate.models.parts.pyramid import Pyramid, maps_of, pyramid, refuse_both, refuse_volumes

Activation = Literal["relu6", "relu"]


def emcad(
    *,
    channels: int = 3,
    classes: int = 1,
    ndim: int = 2,
    encoder: Text = "pvt_v2_b2",
    activation: Activation = "relu6",
    pretrained: Text | None = None,
    weights: Text | None = None,
    expansion: Annotated[Count, Le(16)] = 2,
    drop_path: FractionBelowOne | None = None,
) -> nn.Module:
    """EMCAD (Rahman et al., CVPR 2024, arXiv 2405.06880): its decoder on PVTv2 or another encoder of timm; 2D.

    The logits are the finest of four maps, p1; `Output.sides` are p2, p3 and p4, all at the size of the image. The
    paper trains on the losses of all sums of them: `deep_supervision: all_subsets`. Sizes are multiples of 32.

    Images with one channel first become three channels through a 1 x 1 convolution that is trained too.

    Args:
        channels: channels of the images.
        classes: channels of the logits.
        ndim: spatial axes; 2.
        encoder: a timm name of an encoder with maps at the strides 4, 8, 16 and 32. The official weights are for
            pvt_v2_b0 and pvt_v2_b2. resnet18 and mobilenetv3_small_100 train faster.
        activation: in the multi-scale blocks. The weights fit both, but give wrong results with the other one; the
            official training script has relu6, the class alone relu.
        pretrained: imagenet, downloaded once into timm's cache; or a file of the encoder's weights, whose classifier
            is ignored; or null for random weights.
        weights: a file of the weights of a whole EMCAD. An official file contains the convolution for images with
            one channel; for others it is ignored.
        expansion: channels inside a multi-scale block, as a multiple of those outside.
        drop_path: probability with which the deepest block of the encoder is skipped during training; null is 0.1
            for PVTv2, as in the paper, and the encoder's own for others.

    Raises:
        ValueError: an encoder that does not fit, or weights that are not available or do not fit.
    """
    refuse_volumes("emcad", ndim)
    refuse_both(pretrained, weights)
    is_pvt = encoder.startswith("pvt_v2")
    taken = 3 if channels == 1 else channels
    drop = 0.1 if drop_path is None and is_pvt else drop_path
    made = pyramid("emcad", encoder, taken, pretrained, (4, 8, 16, 32), drop_path=drop)
    is_official = bool(is_pvt and made.file and has_official_names(made.file))
    if made.file and not is_official:
        load_encoder(made.network, made.file, taken, whole=True)
    if is_pvt:
        made = made._replace(network=PvtV2(made.network))
    if made.file and is_official:
        load_encoder(made.network, made.file, taken, whole=True)
    block = _Block(expansion, activation)
    network = _Emcad(made, channels, classes, block, f"emcad on {encoder}")
    if weights:
        load_weights(network, weights, without=() if channels == 1 else ("conv",))
    return network


class _Emcad(nn.Module):
    """The names of the layers are those of the official weights."""

    def __init__(
        self, encoder: Pyramid, channels: int, classes: int, block: _Block, title: str
    ) -> None:
        super().__init__()
        self._levels, self._title, self._activation = encoder.levels, title, block.activation
        self.conv = _colour() if channels == 1 else None
        self.backbone = encoder.network
        self.decoder = _Decoder(encoder.widths, block)
        w1, w2, w3, w4 = encoder.widths
        self.out_head4 = nn.Conv2d(w4, classes, 1)
        self.out_head3 = nn.Conv2d(w3, classes, 1)
        self.out_head2 = nn.Conv2d(w2, classes, 1)
        self.out_head1 = nn.Conv2d(w1, classes, 1)
        heads = (self.out_head1, self.out_head2, self.out_head3, self.out_head4)
        for layer in (*self.decoder.modules(), *heads):
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, pixels: Tensor) -> Output[Tensor]:
        colour = pixels if self.conv is None else self.conv(pixels)
        d1, d2, d3, d4 = self.decoder(*maps_of(self.backbone, self._levels, colour, self._title))
        maps = (
            self.out_head1(d1),
            self.out_head2(d2),
            self.out_head3(d3),
            self.out_head4(d4),
        )
        size = pixels.shape[2:]
        p1, *sides = [F.interpolate(each, size, mode="bilinear") for each in maps]
        return Output(p1, tuple(sides))

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Keep the activation beside the weights, which fit either."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]]["activation"] = self._activation


def _colour() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))


class _Block:
    """The multi-scale blocks of one decoder, from their common arguments."""

    def __init__(self, expansion: int, activation: Activation) -> None:
        self.expansion, self.activation = expansion, activation

    def __call__(self, channels: int) -> nn.Module:
        return nn.Sequential(_MultiScale(channels, self))  # the official names have an index

    def convs(self, before: int, after: int, size: int = 1, groups: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(before, after, size, padding=size // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(after)]

    def active(self) -> nn.Module:
        return nn.ReLU6(inplace=True) if self.activation == "relu6" else nn.ReLU(inplace=True)


class _MultiScale(nn.Module):
    """Depthwise convolutions of three sizes between two of 1 x 1, added to the input (MSCB)."""

    def __init__(self, channels: int, block: _Block) -> None:
        super().__init__()
        inside = block.expansion * channels
        self._groups = math.gcd(inside, channels)
        self.pconv1 = nn.Sequential(*block.convs(channels, inside), block.active())
        self.msdc = _Depthwise(inside, block)
        self.pconv2 = nn.Sequential(*block.convs(inside, channels))

    def forward(self, maps: Tensor) -> Tensor:
        joined = self.msdc(self.pconv1(maps))
        batch, channels, *spatial = joined.shape
        shuffled = joined.reshape(batch, self._groups, channels // self._groups, *spatial)
        result: Tensor = maps + self.pconv2(shuffled.transpose(1, 2).reshape(joined.shape))
        return result


class _Depthwise(nn.Module):
    """The sum of depthwise convolutions of 1, 3 and 5 samples (MSDC)."""

    def __init__(self, channels: int, block: _Block) -> None:
        super().__init__()
        self.dwconvs = nn.ModuleList(
            nn.Sequential(*block.convs(channels, channels, size, channels), block.active())
            for size in (1, 3, 5)
        )

    def forward(self, maps: Tensor) -> Tensor:
        one, three, five = (conv(maps) for conv in self.dwconvs)
        result: Tensor = one + three + five
        return result


class _Decoder(nn.Module):
    """Four maps, finest first -> as many of the same sizes."""

    def __init__(self, widths: tuple[int, ...], block: _Block) -> None:
        super().__init__()
        w1, w2, w3, w4 = widths
        self.mscb4 = block(w4)
        self.eucb3, self.lgag3, self.mscb3 = _Up(w4, w3), _Gate(w3), block(w3)
        self.eucb2, self.lgag2, self.mscb2 = _Up(w3, w2), _Gate(w2), block(w2)
        self.eucb1, self.lgag1, self.mscb1 = _Up(w2, w1), _Gate(w1), block(w1)
        self.cab4, self.cab3, self.cab2, self.cab1 = (_Channels(w) for w in (w4, w3, w2, w1))
        self.sab = _Places()  # of all four levels

    def forward(self, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor) -> tuple[Tensor, ...]:
        d4 = self.mscb4(self.sab(self.cab4(x4)))
        up = self.eucb3(d4)
        d3 = self.mscb3(self.sab(self.cab3(up + self.lgag3(up, x3))))
        up = self.eucb2(d3)
        d2 = self.mscb2(self.sab(self.cab2(up + self.lgag2(up, x2))))
        up = self.eucb1(d2)
        d1 = self.mscb1(self.sab(self.cab1(up + self.lgag1(up, x1))))
        return d1, d2, d3, d4


class _Channels(nn.Module):
    """Weights the channels by their mean and their maximum over the image (CAB)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = max(1, channels // 16)
        self.fc1 = nn.Conv2d(channels, inside, 1, bias=False)
        self.fc2 = nn.Conv2d(inside, channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        mean, most = F.adaptive_avg_pool2d(maps, 1), F.adaptive_max_pool2d(maps, 1)
        weight = self.fc2(self.fc1(mean).relu()) + self.fc2(self.fc1(most).relu())
        result: Tensor = maps * weight.sigmoid()
        return result


class _Places(nn.Module):
    """Weights the places by the mean and the maximum over the channels (SAB)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        both = torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], 1)
        result: Tensor = maps * self.conv(both).sigmoid()
        return result


class _Up(nn.Module):
    """Doubles the size and changes the number of channels (EUCB).

    The paper shuffles channels in between, in groups of one channel; that leaves them in their order.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up_dwc = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False),
            nn.BatchNorm2d(before),
            nn.ReLU(inplace=True),
        )
        self.pwc = nn.Sequential(nn.Conv2d(before, after, 1))

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.pwc(self.up_dwc(maps))
        return result


class _Gate(nn.Module):
    """Weights the places of a skip connection by the maps of the decoder and its own (LGAG)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = max(1, channels // 2)
        self.W_g, self.W_x = (
            nn.Sequential(
                nn.Conv2d(channels, inside, 3, padding=1, groups=math.gcd(channels, inside)),
                nn.BatchNorm2d(inside),
            )
            for _ in range(2)
        )
        self.psi = nn.Sequential(nn.Conv2d(inside, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, maps: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = skip * self.psi((self.W_g(maps) + self.W_x(skip)).relu())
        return result
