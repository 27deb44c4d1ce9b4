"""An image as a flat picture one can look at, and label maps beside it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from delineate.core import Geometry, Image, Segmentation

L, P, S = range(3)  # patient axes of `Geometry.to_patient`

UPRIGHT = {L: ((S, -1), (P, 1)), P: ((S, -1), (L, 1)), S: ((P, 1), (L, 1))}
"""What a radiologist expects (downwards, rightwards) in a sagittal, coronal and axial plane: the head up, or the
front up; the patient's left on the right, or the front on the left."""


SOFT_TISSUE = -150.0, 250.0
"""The usual window of abdominal CT, in HU: level 50, width 400."""

AIR, LEAST_TISSUE = (-4096.0, -800.0), 0.02
"""Range of the lowest value of a CT in HU, and the least share of its samples in the soft tissue window."""

MOST_LOOKED_AT = 2_000_000
"""Samples of a volume from which percentiles are computed, evenly spread."""


def view(image: Image, shown: Sequence[Segmentation]) -> tuple[np.ndarray, list[np.ndarray]]:
    """A picture (H, W, 3) uint8 of an image, and the label maps (H, W) of `shown` in the same place.

    A volume is shown by its slice with most foreground, across the axis of coarsest spacing; where spacings are
    alike, across the one nearest to head-foot, or the first if the patient's axes are unknown. Known patient axes
    are shown upright, and samples square. Bytes are shown as they are, CT in the soft tissue window, other
    images from the 1st to the 99th percentile; of channels that are not three, the first.
    """
    geometry = image.geometry
    pixels, maps = image.pixels, [s.classes for s in shown]
    axes = list(range(geometry.ndim))
    if geometry.ndim == 3:
        across = _across(geometry)
        axes.remove(across)
        most = _fullest(shown, across, geometry.shape[across])
        pixels = pixels.take(most, axis=across + 1)
        maps = [m.take(most, axis=across) for m in maps]
    flat = [as_bytes(pixels, display_limits(image)), *maps]
    spacing = [geometry.spacing[axis] for axis in axes]
    if geometry.to_patient is not None:
        swap, flips = _upright(geometry.to_patient[:3, axes])
        flat = [np.flip(a.swapaxes(0, 1) if swap else a, flips) for a in flat]
        spacing = spacing[::-1] if swap else spacing
    picture, *maps = [_square(a, spacing) for a in flat]
    return picture, maps


def scaled(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) or a label map (H, W) at another size; labels stay labels."""
    if array.shape[:2] == shape:
        return array
    smaller = shape[0] * shape[1] < array.shape[0] * array.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    if array.ndim == 2:
        array, how = array.astype(np.uint16), cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(np.ascontiguousarray(array), shape[::-1], interpolation=how))


def _across(geometry: Geometry) -> int:
    coarsest = [a for a in range(3) if geometry.spacing[a] > 0.95 * max(geometry.spacing)]
    if geometry.to_patient is None:
        return coarsest[0]
    to_head = np.abs(geometry.to_patient[S, :3]) / np.array(geometry.spacing)
    return max(coarsest, key=lambda axis: to_head[axis])


def _fullest(shown: Sequence[Segmentation], across: int, length: int) -> int:
    """The slice with most foreground; the middle one if there is none."""
    others = tuple(axis for axis in range(3) if axis != across)
    amount = np.zeros(length, np.int64)
    for segmentation in shown:
        amount += np.isin(segmentation.classes, segmentation.labels.values).sum(axis=others)
    return int(amount.argmax()) if amount.any() else length // 2


def display_limits(image: Image) -> tuple[float, float] | None:
    """The values that are shown black and white; None for a photograph of bytes, which is shown as it is.

    A CT is shown in the soft tissue window. It is recognized by its Hounsfield units: one channel in mm, air near
    -1000, and part of the samples in the window. Other images are shown from the 1st to the 99th percentile.
    """
    pixels = image.pixels if image.channels == 3 else image.pixels[:1]
    if pixels.dtype in (bool, np.uint8):
        return None
    some = pixels.ravel(order="K")[:: 1 + pixels.size // MOST_LOOKED_AT].astype(np.float32)
    some = some[np.isfinite(some)]
    if not some.size:
        return 0.0, 1.0
    low, high = SOFT_TISSUE
    if image.channels == 1 and image.geometry.unit == "mm" and AIR[0] <= some.min() <= AIR[1]:
        inside = ((some >= low) & (some <= high)).mean()
        if inside >= LEAST_TISSUE:
            return SOFT_TISSUE
    low, high = (float(value) for value in np.percentile(some, [1, 99]))
    if low == high:  # mostly one value, such as the air around a small thing
        low, high = float(some.min()), float(some.max())
    return low, high


def as_bytes(pixels: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    """(channel, H, W) of any depth -> (H, W, 3) uint8; `limits` from `display_limits`."""
    pixels = np.moveaxis(pixels if len(pixels) == 3 else pixels[:1], 0, -1)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    if limits is not None:
        low, high = limits
        scale = 255 / (high - low) if high > low else 1.0
        pixels = np.nan_to_num((pixels.astype(np.float32) - low) * scale, posinf=255, neginf=0)
        pixels = pixels.clip(0, 255).round().astype(np.uint8)
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels, 3, axis=-1)


def _upright(steps: np.ndarray) -> tuple[bool, tuple[int, ...]]:
    """Whether to swap two axes whose steps in the patient are (3, 2), and which to reverse then."""
    plane = int(np.abs(np.cross(steps[:, 0], steps[:, 1])).argmax())
    (down, down_sign), (right, right_sign) = UPRIGHT[plane]
    swap = bool(abs(steps[down, 1]) > abs(steps[down, 0]))
    if swap:
        steps = steps[:, ::-1]
    wrong = steps[down, 0] * down_sign < 0, steps[right, 1] * right_sign < 0
    return swap, tuple(axis for axis in (0, 1) if wrong[axis])


def _square(array: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """At the finer of the two spacings along both axes."""
    finest = min(spacing)
    height, width = (
        max(1, round(n * s / finest)) for n, s in zip(array.shape[:2], spacing, strict=True)
    )
    return scaled(array, (height, width))
