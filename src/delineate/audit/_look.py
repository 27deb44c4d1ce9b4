"""An image as a few small grey pictures, by which it is known again."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from delineate.audit._canonical import canonical
from delineate.core import Image

SIDE = 96
"""Samples along a side of a small picture."""

LOSSLESS = 101
"""What OpenCV takes for the quality of a WebP file that is to change nothing."""

DARK = 0.08
"""Samples this near to the darkest, of the range up to the 99th percentile, may be a frame around the picture."""


def look(image: Image) -> tuple[str, ...]:
    """One small picture of a 2D image, three of a volume (across its middle, along each axis), as text.

    Black margins are cut away first, so that a picture and its copy in another frame look alike, and black
    corners and boxes are left out, so that pictures are not alike for having the same ones. There is none of
    an image that shows nothing.
    """
    pixels = canonical(image)
    middles = [pixels]
    if pixels.ndim == 4:
        middles = [pixels.take(pixels.shape[axis] // 2, axis) for axis in (1, 2, 3)]
    planes = [middle.mean(axis=0, dtype=np.float32) for middle in middles]
    if all(plane.min() == plane.max() for plane in planes):
        return ()
    return tuple(_text(_small(plane)) for plane in planes)


def pictures_of(look: tuple[str, ...]) -> np.ndarray:
    """The small pictures of a look (plane, SIDE, SIDE): grey levels from 1, and 0 where there is no picture."""
    files = [np.frombuffer(base64.b64decode(text), np.uint8) for text in look]
    return np.stack([np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)) for file in files])


def _text(picture: np.ndarray) -> str:
    file = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS])[1]
    return base64.b64encode(file.tobytes()).decode()


def _small(plane: np.ndarray) -> np.ndarray:
    low, bright = plane.min(), np.percentile(plane[::2, ::2], 99)
    lit = plane > low + DARK * (bright - low)
    if lit.mean() < 0.4:  # dark by nature, like fluorescence
        lit = np.ones_like(lit)
    box = tuple(_lit_part(lit.mean(axis=1 - axis)) for axis in (0, 1))
    plane, lit = plane[box], lit[box]
    share = _resized(lit)
    grey = _resized(plane * lit) / np.maximum(share, 1e-3)
    inside = share > 0.5
    low, high = np.percentile(grey[inside], (0.5, 99.5)) if inside.any() else (0.0, 0.0)
    levels = 1 + 254 * ((grey - low) / max(high - low, 1e-12)).clip(0, 1)
    return np.where(inside, levels.round(), 0).astype(np.uint8)


def _lit_part(share: np.ndarray) -> slice:
    """Where a picture begins and ends along an axis, by how much of each line is lit."""
    lit = np.flatnonzero(share > 0.3)
    if not len(lit) or lit[-1] + 1 - lit[0] < len(share) / 2:
        return slice(None)
    return slice(int(lit[0]), int(lit[-1]) + 1)


def _resized(plane: np.ndarray) -> np.ndarray:
    plane = np.ascontiguousarray(plane, np.float32)
    return np.asarray(cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
