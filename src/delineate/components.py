"""Connected components of a mask."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np

FEW = 12
"""Up to this number of components, one comparison per component is faster than np.bincount."""


def numbered(mask: np.ndarray, *, faces: bool = False) -> np.ndarray:
    """Component numbers (*spatial) from 1; 0 is outside the mask.

    Samples that share a corner are connected: 8 neighbours in 2D, 26 in 3D. With `faces`, only samples that share
    a face are: 4 and 6.
    """
    # axes of length 1 are removed: they connect nothing, and cc3d counts labels wrongly with two of them
    flat = mask.squeeze()
    flat = flat.reshape(1, -1) if flat.ndim < 2 else flat
    # as bytes: cc3d 4.1.1 numbers some boolean masks with an odd number of columns wrongly
    flat = flat.astype(bool, copy=False).view(np.uint8)
    connectivity: Any = (4 if faces else 8) if flat.ndim == 2 else (6 if faces else 26)
    numbers = cc3d.connected_components(flat, connectivity=connectivity)
    return np.asarray(numbers.reshape(mask.shape))


def components(mask: np.ndarray, *, faces: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """As `numbered`, with the size of each component in samples; entry 0 counts the samples outside the mask."""
    numbers = numbered(mask, faces=faces)
    count = int(numbers.max())
    if count > FEW:
        return numbers, np.bincount(numbers.ravel(order="K"))
    sizes = [np.count_nonzero(numbers == number) for number in range(1, count + 1)]
    return numbers, np.array([numbers.size - sum(sizes), *sizes])
