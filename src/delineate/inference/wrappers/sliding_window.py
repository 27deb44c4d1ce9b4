"""Sliding windows, for images larger than a network is meant to see."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Literal

import numpy as np

from delineate.arguments import FractionBelowOne, Shape
from delineate.core import Network, Output


def sliding_window(
    network: Network,
    size: Shape,
    overlap: FractionBelowOne = 0.5,
    blend: Literal["gaussian", "constant"] = "gaussian",
) -> Network:
    """The network is applied window by window, and overlapping dense logits are averaged.

    Side outputs are dropped. A network with another head than the dense one is refused.

    Args:
        network: what is wrapped.
        size: samples of a window along each axis (MONAI's roi_size); an image smaller than that is padded with its
            border.
        overlap: part of a window shared with the next one, in [0, 1); windows are spread evenly.
        blend: "gaussian" trusts a window's centre more than its border (sigma size / 8, as nnU-Net), "constant" weighs
            every sample of a window the same.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; expected a number from 0 to below 1.")
    if any(n < 1 for n in size):
        raise ValueError(f"size is {list(size)}; expected at least one sample along each axis.")
    return partial(_by_windows, network, tuple(size), overlap, blend)


def _by_windows(
    network: Network, size: tuple[int, ...], overlap: float, blend: str, pixels: np.ndarray
) -> Output[np.ndarray]:
    """Logits for the whole image.

    Raises:
        ValueError: a window of another number of axes, or a network with another head than the dense one.
    """
    spatial = pixels.shape[2:]
    if len(size) != len(spatial):
        raise ValueError(
            f"the size of sliding windows is {list(size)}; the images have {len(spatial)} axes."
        )
    gaps = [max(0, w - n) for w, n in zip(size, spatial, strict=True)]
    if any(gaps):
        around = [(0, 0), (0, 0), *((g // 2, g - g // 2) for g in gaps)]
        pixels = np.pad(pixels, around, mode="edge")
    whole = (slice(None), slice(None))  # batch and channels
    weight = _weights(size, blend)
    total: np.ndarray | None = None
    seen = np.zeros(pixels.shape[2:], dtype=np.float32)
    for box in _windows(pixels.shape[2:], size, overlap):
        output = network(np.ascontiguousarray(pixels[whole + box]))
        if output.heads != ("dense",):
            raise ValueError(
                f"sliding windows join dense logits only, and the network gives {', '.join(output.heads)}. "
                "Leave sliding_window out of predict."
            )
        logits = output.logits
        if total is None:
            total = np.zeros((*logits.shape[:2], *pixels.shape[2:]), dtype=np.float32)
        total[whole + box] += logits * weight
        seen[box] += weight
    assert total is not None
    total /= seen
    inner = tuple(slice(g // 2, g // 2 + n) for g, n in zip(gaps, spatial, strict=True))
    return Output(total[whole + inner])


def _windows(
    shape: tuple[int, ...], size: tuple[int, ...], overlap: float
) -> Iterator[tuple[slice, ...]]:
    starts = []
    for n, w in zip(shape, size, strict=True):
        step = max(1.0, w * (1 - overlap))
        count = 1 + int(np.ceil((n - w) / step))
        starts.append(np.linspace(0, n - w, count).round().astype(int))
    for corner in product(*starts):
        yield tuple(slice(int(s), int(s) + w) for s, w in zip(corner, size, strict=True))


def _weights(size: tuple[int, ...], blend: str) -> np.ndarray:
    weight = np.ones(size, dtype=np.float32)
    if blend == "constant":
        return weight
    for axis, n in enumerate(size):
        along = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
        weight *= along.reshape([-1 if a == axis else 1 for a in range(weight.ndim)])
    # the corner of a window may be the only one to see a pixel
    return np.maximum(weight, 1e-3).astype(np.float32)
