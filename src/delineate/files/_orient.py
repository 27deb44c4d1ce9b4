"""EXIF and TIFF orientation."""

from __future__ import annotations

import numpy as np


def upright(pixels: np.ndarray, orientation: int, axes: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Stored pixels turned as they are to be seen; `axes` are rows and columns.

    orientation: 1 to 8 as in EXIF 2.3, table 6; anything else is taken as 1, as viewers do.
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
