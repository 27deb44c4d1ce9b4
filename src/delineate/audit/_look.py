"""Thumbnails (looks) of an image for the search of near duplicates, and the details of one."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from delineate.core import Image

SIDE, WHOLE = 96, 48
"""Side of a thumbnail without margins, and of one of the whole image, in samples."""

LOSSLESS = 101
"""OpenCV's quality value for lossless WebP."""

DARK = 0.08
"""Samples below this fraction of the range from the 0.1th to the 99th percentile may be a dark frame."""

SURROUNDINGS = 2.0
"""Sigma of the Gaussian surroundings of a sample, in samples."""


def looks(image: Image) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Thumbnails of an image without dark margins, and of the whole image, as text. A volume has three of each.

    Those of a volume are its middle slices along each axis. A constant image has none.

    The first kind is cropped to the part that is not dark, so that a picture and its copy in another frame are
    similar. Dark corners and boxes inside it are masked, so that they do not make pictures similar. The crop depends
    on the brightness; the thumbnails of the whole image do not.
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
    """Decode the thumbnails of a look (plane, side, side): grey levels from 1, and 0 outside the picture."""
    files = [np.frombuffer(base64.b64decode(text), np.uint8) for text in look]
    return np.stack([np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE)) for file in files])


def _text(picture: np.ndarray) -> str:
    file = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, LOSSLESS])[1]
    return base64.b64encode(file.tobytes()).decode()


def _small(plane: np.ndarray) -> np.ndarray:
    low, bright = np.percentile(plane[::2, ::2], (0.1, 99))
    lit = plane > low + DARK * (bright - low)
    if lit.mean() < 0.4:  # a dark image, such as fluorescence
        lit = np.ones_like(lit)
    box = tuple(_lit_part(lit.mean(axis=1 - axis)) for axis in (0, 1))
    plane, lit = plane[box], lit[box]
    share = _resized(lit)
    grey = _resized(plane * lit) / np.maximum(share, 1e-3)
    return _levels(grey, share > 0.5)


def _levels(grey: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Grey levels rescaled to 1 to 255 inside, by the 0.5th and 99.5th percentile, and 0 outside."""
    low, high = np.percentile(grey[inside], (0.5, 99.5)) if inside.any() else (0.0, 0.0)
    levels = 1 + 254 * ((grey - low) / max(high - low, 1e-12)).clip(0, 1)
    return np.where(inside, levels.round(), 0).astype(np.uint8)


def _lit_part(share: np.ndarray) -> slice:
    """The range of an axis without dark margins, from the fraction of each line that is not dark."""
    lit = np.flatnonzero(share > 0.3)
    if not len(lit) or lit[-1] + 1 - lit[0] < len(share) / 2:
        return slice(None)
    return slice(int(lit[0]), int(lit[-1]) + 1)


def _resized(plane: np.ndarray, side: int = SIDE) -> np.ndarray:
    plane = np.ascontiguousarray(plane, np.float32)
    return np.asarray(cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA))


def canonical(image: Image) -> np.ndarray:
    """(channel, *spatial), reordered and flipped to the nearest orientation with axes to left, back and head.

    A 2D image, or a volume of unknown orientation in the patient, is returned unchanged.
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
    """The difference of each sample to its surroundings, normalised by the local contrast; 0 outside the picture.

    The normalisation keeps single highlights from dominating.
    """
    above = lighter(plane, inside, sigma)
    varies = np.sqrt(_around(above**2, inside, 2 * sigma))
    usual = np.sqrt((above**2).sum() / max(inside.sum(), 1))
    return np.asarray(above / (varies + 0.25 * usual + 1e-6) * inside, np.float32)


def lighter(plane: np.ndarray, inside: np.ndarray, sigma: float = SURROUNDINGS) -> np.ndarray:
    """The difference of each sample to its surroundings, in grey levels; 0 outside the picture."""
    return np.asarray((plane - _around(plane, inside, sigma)) * inside)


def shrunk(plane: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at another side, and its mask (1 inside)."""
    inside = (plane > 0).astype(np.float32)
    grey, share = (
        cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA)
        for a in (plane.astype(np.float32), inside)
    )
    return grey / np.maximum(share, 1e-3), (share > 0.5).astype(np.float32)


def _around(plane: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """The Gaussian mean around each sample, of samples inside the mask."""
    share = cv2.GaussianBlur(inside, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(plane * inside, (0, 0), sigma) / np.maximum(share, 1e-3))
