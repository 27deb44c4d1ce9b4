"""An image as a few small grey pictures, by which it is known again, and what there is to see in one."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from delineate.core import Image

SIDE, WHOLE = 96, 48
"""Samples along a side of a small picture of the lit part, and of one of the whole image."""

LOSSLESS = 101
"""What OpenCV takes for the quality of a WebP file that is to change nothing."""

DARK = 0.08
"""Samples this near to the darkest but a thousandth, of the range up to the 99th percentile, may be a frame."""

SURROUNDINGS = 2.0
"""Sigma, in samples, of what a sample is compared with."""


def looks(image: Image) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The part of an image that is lit, and the whole: a small picture of each as text, or three of a volume.

    Those of a volume go across its middle, along each axis. There is none of an image that shows nothing.

    Of the part that is lit, black margins are cut away, so that a picture and its copy in another frame look alike,
    and black corners and boxes are left out, so that pictures are not alike for having the same ones. What is cut away
    depends on the light; the whole image lies upon its brightened or resized copy as it is.
    """
    pixels = canonical(image)
    middles = [pixels]
    if pixels.ndim == 4:
        middles = [pixels.take(pixels.shape[axis] // 2, axis) for axis in (1, 2, 3)]
    planes = [middle.mean(axis=0, dtype=np.float32) for middle in middles]
    if all(plane.min() == plane.max() for plane in planes):
        return (), ()
    return tuple(_text(_small(plane)) for plane in planes), tuple(
        _text(_levels(_resized(plane, WHOLE), np.ones((WHOLE, WHOLE), bool))) for plane in planes
    )


def pictures_of(look: tuple[str, ...]) -> np.ndarray:
    """The small pictures of a look (plane, side, side): grey levels from 1, and 0 where there is no picture."""
    files = [np.frombuffer(base64.b64decode(text), np.uint8) for text in look]
    return np.stack([np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)) for file in files])


def _text(picture: np.ndarray) -> str:
    file = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS])[1]
    return base64.b64encode(file.tobytes()).decode()


def _small(plane: np.ndarray) -> np.ndarray:
    low, bright = np.percentile(plane[::2, ::2], (0.1, 99))
    lit = plane > low + DARK * (bright - low)
    if lit.mean() < 0.4:  # dark by nature, like fluorescence
        lit = np.ones_like(lit)
    box = tuple(_lit_part(lit.mean(axis=1 - axis)) for axis in (0, 1))
    plane, lit = plane[box], lit[box]
    share = _resized(lit)
    grey = _resized(plane * lit) / np.maximum(share, 1e-3)
    return _levels(grey, share > 0.5)


def _levels(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Grey levels from 1 to 255 for nearly all of what is inside, and 0 outside."""
    low, high = np.percentile(grey[inside], (0.5, 99.5)) if inside.any() else (0.0, 0.0)
    levels = 1 + 254 * ((grey - low) / max(high - low, 1e-12)).clip(0, 1)
    return np.where(inside, levels.round(), 0).astype(np.uint8)


def _lit_part(share: np.ndarray) -> slice:
    """Where a picture begins and ends along an axis, by how much of each line is lit."""
    lit = np.flatnonzero(share > 0.3)
    if not len(lit) or lit[-1] + 1 - lit[0] < len(share) / 2:
        return slice(None)
    return slice(int(lit[0]), int(lit[-1]) + 1)


def _resized(plane: np.ndarray, side: int = SIDE) -> np.ndarray:
    plane = np.ascontiguousarray(plane, np.float32)
    return np.asarray(cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA))


def canonical(image: Image) -> np.ndarray:
    """(channel, *spatial): axes to the patient's left, back and head, in that order, as near as they come.

    A 2D image, or a volume whose place in the patient is unknown, stays as it is.
    """
    affine = image.geometry.to_patient
    if affine is None or image.geometry.ndim != 3:
        return image.pixels
    steps = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes = [int(np.abs(row).argmax()) for row in steps]
    if sorted(axes) != [0, 1, 2]:
        return image.pixels
    flips = [slice(None, None, -1 if row[a] < 0 else 1) for row, a in zip(steps, axes, strict=True)]
    pixels = image.pixels.transpose(0, *(a + 1 for a in axes))
    return np.asarray(pixels[(slice(None), *flips)])


def detail(plane: np.ndarray, inside: np.ndarray, sigma: float = SURROUNDINGS) -> np.ndarray:
    """How much lighter each sample is than its surroundings; 0 outside the picture.

    In units of how much there is to see nearby, so that no single highlight decides.
    """
    above = lighter(plane, inside, sigma)
    varies = np.sqrt(_around(above**2, inside, 2 * sigma))
    usual = np.sqrt((above**2).sum() / max(inside.sum(), 1))
    return np.asarray(above / (varies + 0.25 * usual + 1e-6) * inside, np.float32)


def lighter(plane: np.ndarray, inside: np.ndarray, sigma: float = SURROUNDINGS) -> np.ndarray:
    """How many grey levels each sample is lighter than its surroundings; 0 outside the picture."""
    return np.asarray((plane - _around(plane, inside, sigma)) * inside)


def shrunk(plane: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at another side, and 1 where there is one."""
    inside = (plane > 0).astype(np.float32)
    grey, share = (
        cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA)
        for a in (plane.astype(np.float32), inside)
    )
    return grey / np.maximum(share, 1e-3), (share > 0.5).astype(np.float32)


def _around(plane: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of what is inside, around each sample."""
    share = cv2.GaussianBlur(inside, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(plane * inside, (0, 0), sigma) / np.maximum(share, 1e-3))
