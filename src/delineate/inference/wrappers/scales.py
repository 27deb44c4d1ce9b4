"""Test-time augmentation by scales."""

from __future__ import annotations

from functools import partial
from math import gcd
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le, Len

from delineate.arguments import Positive
from delineate.core import Network, Output
from delineate.inference.wrappers._mean import mean_output
from delineate.prepare import linear

Scale = Annotated[Positive, Ge(0.1), Le(10)]

DIVISIBLE = 32
"""A scaled size stays divisible by the common divisor of this and the original size, as many encoders require."""


def scales(network: Network, factors: Annotated[tuple[Scale, ...], Len(1, 16)]) -> Network:
    """The mean of a network's logits, dense and image-level, over several scales of the prepared image.

    Dense logits are resized back to the grid by linear interpolation, with antialiasing where they shrink. The mean is
    of logits, not of probabilities, as in `flips`, so that the order of the two makes no difference. Side outputs are
    dropped. A network with an objects head is refused.

    Args:
        network: the network to wrap.
        factors: scale of the image in each pass; 1 is the original size. A scaled size is a multiple of 32 if the
            original one is (likewise of 16, 8, 4, 2).
    """
    if not factors or any(not factor > 0 for factor in factors):
        raise ValueError(f"factors is {list(factors)}; expected positive numbers, at least one.")
    return partial(_over_scales, network, tuple(factors))


def _over_scales(
    network: Network, factors: tuple[float, ...], pixels: np.ndarray
) -> Output[np.ndarray]:
    """Mean logits on the grid of `pixels`.

    Raises:
        ValueError: a network with an objects head.
    """
    return mean_output((_scaled(network, pixels, factor) for factor in factors), "scales")


def _scaled(network: Network, pixels: np.ndarray, factor: float) -> Output[np.ndarray]:
    """The network's output for a scaled image, scaled back."""
    before = pixels.shape[2:]
    output = network(_resized(pixels, tuple(_size(n, factor) for n in before)))
    dense = None if output.dense is None else _resized(output.dense, before)
    return Output(dense=dense, image=output.image, objects=output.objects)


def _size(before: int, factor: float) -> int:
    step = gcd(before, DIVISIBLE)
    return max(1, round(before * factor / step)) * step


def _resized(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resize (batch, channel, *spatial) maps to another spatial shape; contiguous."""
    if maps.shape[2:] == shape:
        return maps
    flat = maps.reshape(-1, *maps.shape[2:]).astype(np.float32, copy=False)
    return np.ascontiguousarray(linear(flat, shape)).reshape(*maps.shape[:2], *shape)
