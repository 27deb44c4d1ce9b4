"""Changes of what samples say, run in order, neighbours of a kind as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import cv2
import numpy as np

from delineate.prepare._arrays import channel_first, interleaved
from delineate.prepare.augment._part import Curve, Filter, Mix


def recolour(pixels: np.ndarray, parts: Iterable[Mix | Curve | Filter]) -> np.ndarray:
    """Pixels (channel, *spatial) after `parts`; 1 is the largest value of a whole dtype, or 1.0."""
    for kind, group in groupby(parts, key=type):
        if kind is Mix:
            pixels = _mixed(pixels, [part for part in group if isinstance(part, Mix)])
        elif kind is Curve:
            pixels = _curved(pixels, [part for part in group if isinstance(part, Curve)])
        else:
            for part in group:
                pixels = part.filter(pixels) if isinstance(part, Filter) else pixels
    return pixels


def full_scale(dtype: np.dtype) -> float:
    """The value that stands for 1."""
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def to_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Float values rounded and clipped to the range of a dtype; `values` may be overwritten."""
    np.clip(values, 0, full_scale(dtype), out=values)
    return (np.rint(values, out=values) if dtype.kind == "u" else values).astype(dtype, copy=False)


def _mixed(pixels: np.ndarray, parts: Sequence[Mix]) -> np.ndarray:
    full = full_scale(pixels.dtype)
    memory = interleaved(pixels)
    flat = memory.reshape(memory.shape[0], -1, memory.shape[-1])  # OpenCV's two axes and channels
    mean = (
        np.array(cv2.mean(flat))[: len(pixels)] / full
        if len(pixels) <= 4
        else flat.mean((0, 1)) / full
    )
    total = np.eye(len(pixels), len(pixels) + 1)
    for part in parts:
        matrix = part.matrix(mean)
        mean = matrix[:, :-1] @ mean + matrix[:, -1]
        total = matrix[:, :-1] @ total
        total[:, -1] += matrix[:, -1]
    total[:, -1] *= full
    if len(pixels) == 1:
        return _by_value(pixels, lambda values: values * total[0, 0] + total[0, 1] / full)
    if len(pixels) <= 4:
        mixed = cv2.transform(flat, total)
    else:
        mixed = to_dtype((flat @ total[:, :-1].T + total[:, -1]).astype(np.float32), pixels.dtype)
    if pixels.dtype.kind == "f":
        np.clip(mixed, 0, 1, out=mixed)
    return channel_first(mixed.reshape(memory.shape))


def _curved(pixels: np.ndarray, parts: Sequence[Curve]) -> np.ndarray:
    def curve(values: np.ndarray) -> np.ndarray:
        for part in parts:
            values = np.clip(part.curve(values), 0, 1)
        return values

    return _by_value(pixels, curve)


def _by_value(pixels: np.ndarray, curve: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Each value through a curve on 0 to 1: by a table where values are whole numbers."""
    if pixels.dtype.kind == "f":
        return to_dtype(np.array(curve(np.clip(pixels, 0, 1)), pixels.dtype), pixels.dtype)
    full = full_scale(pixels.dtype)
    table = to_dtype(curve(np.linspace(0, 1, int(full) + 1)) * full, pixels.dtype)
    memory = interleaved(pixels)
    if pixels.dtype != np.uint8:
        return channel_first(table[memory])
    return channel_first(cv2.LUT(memory.reshape(memory.shape[0], -1), table).reshape(memory.shape))
