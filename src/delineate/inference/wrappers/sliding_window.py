"""Sliding-window inference, for images larger than the network's input."""

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
    """Apply the network window by window, and average dense logits where windows overlap.

    Side outputs are dropped. A network with a head other than the dense one is refused.

    Args:
        network: the network to wrap.
        size: size of a window in samples along each axis (MONAI's roi_size); a smaller image is padded with its border
            values.
        overlap: share of a window that overlaps with the next, in [0, 1); windows are spread evenly.
        blend: weights within a window (MONAI's mode): "gaussian" has its maximum at the centre (sigma size / 8, as
            nnU-Net), "constant" has equal weights.
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
        ValueError: a window with another number of axes, or a network with a head other than the dense one.
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
                f"sliding windows support dense logits only, but the network has the heads {', '.join(output.heads)}. "
                "Remove sliding_window from predict."
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
    # a pixel may be covered by the corner of one window only
    return np.maximum(weight, 1e-3).astype(np.float32)
