"""Pixel arrays: memory order, cropping and padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def interleaved(pixels: np.ndarray) -> np.ndarray:
    """(channel, *spatial) -> (*spatial, channel), contiguous; no copy if the memory is already interleaved."""
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def channel_first(pixels: np.ndarray) -> np.ndarray:
    """(*spatial, channel) -> (channel, *spatial): a view."""
    return np.moveaxis(pixels, -1, 0)


def is_interleaved(pixels: np.ndarray) -> bool:
    """Whether (channel, *spatial) is a view on channel-last memory."""
    return bool(np.moveaxis(pixels, 0, -1).flags.c_contiguous)


def place(
    array: np.ndarray, start: Sequence[int], shape: Sequence[int], outside: float | Sequence[float]
) -> np.ndarray:
    """Crop `array` (channel, *spatial) to `shape` from index `start`, and pad with `outside`.

    `start` may be negative. A crop without padding is a view.
    """
    low = [max(s, 0) for s in start]
    high = [min(s + n, old) for s, n, old in zip(start, shape, array.shape[1:], strict=True)]
    inside = array[(slice(None), *map(slice, low, map(max, low, high)))]
    if inside.shape[1:] == tuple(shape):
        return inside
    if is_interleaved(array):
        padded = channel_first(np.empty((*shape, array.shape[0]), array.dtype))
    else:
        padded = np.empty((array.shape[0], *shape), array.dtype)
    filling = np.broadcast_to(np.asarray(outside, array.dtype), array.shape[:1])
    padded[:] = filling.reshape(-1, *[1] * len(shape))
    target = [
        slice(lo - s, lo - s + n) for lo, s, n in zip(low, start, inside.shape[1:], strict=True)
    ]
    padded[(slice(None), *target)] = inside
    return padded


def same_length(name: str, given: Sequence[object], ndim: int) -> None:
    """Check that an argument has one entry per axis."""
    if len(given) != ndim:
        raise ValueError(
            f"{name} is {list(given)}, for {len(given)} axes, but the image has {ndim}. Give one number per axis."
        )
