"""One warp of image and truth: linear for the one, nearest for the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from delineate.prepare._arrays import channel_first, interleaved
from delineate.prepare._layers import Layers
from delineate.prepare.augment._part import Border, Warp


def warp(pixels: np.ndarray, truth: Layers, part: Warp) -> tuple[np.ndarray, Layers]:
    """Pixels (channel, *spatial) and the truth moved together."""
    shape = pixels.shape[1:]
    turn = _quarter_turn(part, shape)
    if turn is not None:
        pixels = _turned(pixels, *turn)
        truth = _moved(truth, lambda maps: _turned(maps, *turn))
    else:
        at = _coordinates(part, shape)
        warped = _warped_2d if len(shape) == 2 else _warped_nd
        pixels = warped(pixels, at, part.border, smooth=True)
        truth = _moved(truth, lambda maps: warped(maps, at, part.border, smooth=False))
    return pixels, _swapped(truth, part.swap)


def _moved(truth: Layers, move: Callable[[np.ndarray], np.ndarray]) -> Layers:
    """The truth with its maps moved."""

    def moved(maps: np.ndarray, _: object) -> np.ndarray:
        # OpenCV moves no uint32, which more than 65,535 objects need
        bits = maps.view(np.int32) if maps.dtype == np.uint32 else maps
        return move(bits).view(maps.dtype)

    return truth.moved(moved) if truth.outlined else truth


def _quarter_turn(
    part: Warp, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[bool, ...]] | None:
    """The order of axes and the axes to reverse, if the warp is but flips and quarter turns."""
    linear = part.matrix[:-1, :-1]
    whole = np.rint(linear)
    if part.displacement or not np.allclose(linear, whole, atol=1e-9):
        return None
    if not ((np.abs(whole).sum(0) == 1).all() and (np.abs(whole).sum(1) == 1).all()):
        return None
    order = tuple(int(np.flatnonzero(whole[:, axis])[0]) for axis in range(len(shape)))
    if tuple(shape[axis] for axis in order) != shape:
        return None
    flips = tuple(bool(whole[:, axis].sum() < 0) for axis in range(len(shape)))
    offset = np.zeros(len(shape))
    for old, flip in zip(order, flips, strict=True):
        offset[old] = shape[old] - 1 if flip else 0
    return (order, flips) if np.allclose(part.matrix[:-1, -1], offset, atol=1e-6) else None


def _turned(array: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...]) -> np.ndarray:
    """Axes of (channel, *spatial) reordered, then reversed."""
    if len(order) > 2 or len(array) > 4:  # OpenCV transposes samples of few sizes only
        steps = (slice(None), *[slice(None, None, -1 if flip else 1) for flip in flips])
        return np.ascontiguousarray(array.transpose(0, *[axis + 1 for axis in order])[steps])
    memory = interleaved(array)
    if order == (1, 0):
        memory = cv2.transpose(memory)
    if any(flips):
        memory = cv2.flip(memory, -1 if all(flips) else flips.index(True))
    return channel_first(memory.reshape(*array.shape[1:], len(array)))


def _coordinates(part: Warp, shape: tuple[int, ...]) -> list[np.ndarray]:
    """For each axis the index every sample of the result is taken from; overwritten by the next call."""
    grid: tuple[np.ndarray, ...] = np.ogrid[tuple(map(slice, shape))]
    if part.displacement:
        grid = tuple(g + d for g, d in zip(grid, part.displacement, strict=True))
    found = []
    for axis, (*row, offset) in enumerate(part.matrix[:-1]):
        start, *terms = ((w * g).astype(np.float32) for w, g in zip(row, grid, strict=True) if w)
        index = _scratch(f"index {axis}", shape, np.float32)
        np.add(start + np.float32(offset), terms[0] if terms else np.float32(0), out=index)
        for term in terms[1:]:
            index += term
        found.append(index)
    return found


def _warped_2d(
    pixels: np.ndarray, at: list[np.ndarray], border: Border, smooth: bool
) -> np.ndarray:
    method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    outside = cv2.BORDER_REFLECT_101 if border == "reflect" else cv2.BORDER_CONSTANT
    memory = interleaved(pixels)
    rows, columns, channels = memory.shape
    if channels == 3:  # OpenCV 5 warps four channels in half the time of three
        four = _scratch("four", (rows, columns, 4), memory.dtype)
        warped = _scratch("warped", (rows, columns, 4), memory.dtype)
        cv2.cvtColor(memory, cv2.COLOR_RGB2RGBA, dst=four)
        cv2.remap(four, at[1], at[0], method, dst=warped, borderMode=outside)
        return channel_first(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB))
    found = [  # OpenCV remaps no more than four at once
        cv2.remap(memory[..., c : c + 4], at[1], at[0], method, borderMode=outside)
        for c in range(0, channels, 4)
    ]
    if len(found) == 1:
        return channel_first(found[0].reshape(memory.shape))
    return np.concatenate([channel_first(f.reshape(rows, columns, -1)) for f in found])


def _warped_nd(
    pixels: np.ndarray, at: list[np.ndarray], border: Border, smooth: bool
) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    mode = "mirror" if border == "reflect" else "grid-constant"
    found = np.empty(pixels.shape, np.float32 if smooth else pixels.dtype)
    for source, target in zip(pixels, found, strict=True):
        map_coordinates(source, at, target, order=1 if smooth else 0, mode=mode)
    if smooth and pixels.dtype.kind == "u":
        np.rint(found, out=found)
    return found.astype(pixels.dtype, copy=False)


def _swapped(truth: Layers, pairs: tuple[tuple[int, int], ...]) -> Layers:
    """Labels changed over, one pair after the other: in the label map, of the objects, and of the image."""
    if not pairs:
        return truth
    table = np.arange(
        max(int(truth.classes.max()), *map(max, pairs)) + 1, dtype=truth.classes.dtype
    )
    for a, b in pairs:
        where_a, where_b = table == a, table == b
        table[where_a], table[where_b] = b, a
    name_of = {label.value: label.name for label in truth.labels.labels}
    new = {
        name: name_of.get(int(table[value]), name)
        for value, name in name_of.items()
        if value < len(table)
    }
    return replace(
        truth,
        classes=np.asarray(table[truth.classes]),
        objects=tuple(replace(o, label=new.get(o.label, o.label)) for o in truth.objects),
        present={new.get(name, name): shown for name, shown in truth.present.items()},
    )


class _Scratch(threading.local):
    """Memory that each warp of a thread overwrites: to get and return megabytes takes longer than to warp them."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        found = self.kept.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = self.kept[name] = np.empty(shape, dtype)
        return found


_scratch = _Scratch()
