"""Sliding-window inference, for images larger than the network's input."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Literal

import numpy as np

from delineate.arguments import FractionBelowOne, Shape
from delineate.core import Network, Output
from delineate.inference.slices import PIXELS

Windows = Sequence[np.ndarray]
"""Arrays (batch, channel, *size)."""


def sliding_window(
    network: Network,
    size: Shape,
    overlap: FractionBelowOne = 0.5,
    blend: Literal["gaussian", "constant"] = "gaussian",
    skip_empty: bool = False,
) -> Network:
    """Apply the network window by window, and average dense logits where windows overlap.

    Small windows are given to the network several at a time. Side outputs are dropped. A network with a head other
    than the dense one is refused.

    Args:
        network: the network to wrap.
        size: size of a window in samples along each axis (MONAI's roi_size); a smaller image is padded with its border
            values.
        overlap: share of a window that overlaps with the next, in [0, 1); windows are spread evenly.
        blend: weights within a window (MONAI's mode): "gaussian" has its maximum at the centre (sigma size / 8, as
            nnU-Net), "constant" has equal weights.
        skip_empty: a window is empty if each channel of the prepared image has one value everywhere in it, such as
            the black border of a photograph, or the air around a patient after a window of CT. The network runs on
            the first of them only, and its logits serve for all others of that value. Noise is not empty.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is {overlap}; expected a number from 0 to below 1.")
    if any(n < 1 for n in size):
        raise ValueError(f"size is {list(size)}; expected at least one sample along each axis.")
    return partial(_by_windows, network, tuple(size), overlap, blend, skip_empty)


def _by_windows(
    network: Network,
    size: tuple[int, ...],
    overlap: float,
    blend: str,
    skip_empty: bool,
    pixels: np.ndarray,
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
    run: Callable[[Windows], Windows] = partial(_logits, network)
    if skip_empty:
        run = _SkippingEmpty(run)
    boxes = list(_windows(pixels.shape[2:], size, overlap))
    together = max(1, PIXELS // math.prod(size))
    for start in range(0, len(boxes), together):
        part = boxes[start : start + together]
        for box, logits in zip(part, run([pixels[whole + box] for box in part]), strict=True):
            if total is None:
                total = np.zeros((*logits.shape[:2], *pixels.shape[2:]), dtype=np.float32)
            total[whole + box] += logits * weight
            seen[box] += weight
    assert total is not None
    total /= seen
    inner = tuple(slice(g // 2, g // 2 + n) for g, n in zip(gaps, spatial, strict=True))
    return Output(total[whole + inner])


def _logits(network: Network, windows: Windows) -> Windows:
    """The logits of each window, from one call of the network."""
    output = network(np.ascontiguousarray(np.concatenate(windows)))
    if output.heads != ("dense",):
        raise ValueError(
            f"sliding windows support dense logits only, but the network has the heads {', '.join(output.heads)}. "
            "Remove sliding_window from predict."
        )
    return np.split(output.logits, len(windows))


class _SkippingEmpty:
    """The logits of windows, where those of an empty one are those of the last empty one with the same values."""

    def __init__(self, run: Callable[[Windows], Windows]) -> None:
        self.run = run
        self.known: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, windows: Windows) -> Windows:
        full = [window for window in windows if not _is_empty(window)]
        found = iter(self.run(full) if full else ())
        return [self._of_empty(w) if _is_empty(w) else next(found) for w in windows]

    def _of_empty(self, window: np.ndarray) -> np.ndarray:
        values = _corner(window)
        if self.known is None or not np.array_equal(values, self.known[0]):
            self.known = values, self.run([window])[0]
        return self.known[1]


def _is_empty(window: np.ndarray) -> bool:
    return bool((window == _corner(window)).all())


def _corner(window: np.ndarray) -> np.ndarray:
    """The first sample of each channel, with all axes."""
    return window[(slice(None), slice(None), *[slice(1)] * (window.ndim - 2))]


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
