"""Convert between an Image and the layout of picture libraries, (row, column) or (row, column, channel)."""

from __future__ import annotations

import numpy as np

from delineate.core import Geometry, Image


def photo(pixels: np.ndarray, orientation: int = 1) -> Image:
    """An image without physical size, with its EXIF orientation applied; colour stays interleaved in memory."""
    pixels = upright(pixels, orientation)
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return Image(planes, Geometry.in_pixels(planes.shape[1:]))


def rows_and_columns(image: Image, what: str) -> np.ndarray:
    """The pixels of a 2D image, (row, column) or (row, column, 3), for a format that supports only these.

    Raises:
        ValueError: a volume, or neither 1 nor 3 channels; the message names another format.
    """
    if image.geometry.ndim != 2 or image.channels not in (1, 3):
        raise ValueError(
            f"{what} holds 2D images of 1 or 3 channels, but this image has shape {image.pixels.shape}. "
            "Write .tif or .nii.gz."
        )
    if image.channels == 1:
        return np.ascontiguousarray(image.pixels[0])
    return np.ascontiguousarray(np.moveaxis(image.pixels, 0, -1))


NUMBERS = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
)  # fmt: skip
"""The dtypes that the formats of scans support."""


def only(pixels: np.ndarray, types: tuple[str, ...], what: str) -> np.ndarray:
    """Return the pixels unchanged if the format supports their dtype.

    Raises:
        ValueError: the dtype is not one of `types`.
    """
    if pixels.dtype.name not in types:
        raise ValueError(
            f"{what} holds {' or '.join(types)}, but these pixels are {pixels.dtype}. Convert them, or write .tif."
        )
    return pixels


def upright(pixels: np.ndarray, orientation: int, axes: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Apply an EXIF orientation to stored pixels; `axes` are rows and columns.

    orientation: 1 to 8 as in EXIF 2.3, table 6; other values count as 1, as in viewers.
    """
    rows, columns = axes
    if orientation in (2, 5, 7):
        pixels = np.flip(pixels, columns)
    if orientation in (3, 4):
        pixels = np.flip(pixels, axes if orientation == 3 else rows)
    quarter_turns = {5: 1, 6: -1, 7: -1, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns, axes))


def upright_shape(shape: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Rows and columns after `upright`."""
    return shape[::-1] if orientation in (5, 6, 7, 8) else shape
