"""Window intensities, such as Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Len

from delineate.arguments import Number, Positive
from delineate.prepare._step import ValueStep


def window(
    level: Number | Annotated[tuple[Number, ...], Len(1)],
    width: Positive | Annotated[tuple[Positive, ...], Len(1)],
) -> ValueStep:
    """Map a window of Hounsfield units (or other values) to 0 to 1, and clip the others.

    DICOM's LINEAR_EXACT (PS3.3 C.11.2.1.3): (x - level) / width + 0.5. Liver: level 40, width 150 to 400; soft
    tissue: 50, 400; lung: -600, 1500; bone: 400, 1800.

    Args:
        level: the centre of the window. Several levels make one channel each, from an image with one channel.
        width: the width of the window; one per level, or one for all.
    """
    levels = (level,) if isinstance(level, int | float) else tuple(level)
    widths = (width,) if isinstance(width, int | float) else tuple(width)
    widths = widths * len(levels) if len(widths) == 1 else widths
    if len(levels) != len(widths):
        raise ValueError(
            f"window: {len(levels)} levels and {len(widths)} widths; give one width for each level."
        )
    return _Window(levels, widths)


@dataclass(frozen=True)
class _Window:
    levels: tuple[float, ...]
    widths: tuple[float, ...]
    after_augment: ClassVar[bool] = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        if len(self.levels) == 1:
            return _windowed(pixels, self.levels[0], self.widths[0])
        if pixels.shape[0] != 1:
            raise ValueError(
                f"window: {len(self.levels)} windows need an image with one channel; "
                f"this one has {pixels.shape[0]}."
            )
        return np.concatenate(
            [_windowed(pixels, c, w) for c, w in zip(self.levels, self.widths, strict=True)]
        )


def _windowed(pixels: np.ndarray, level: float, width: float) -> np.ndarray:
    windowed: np.ndarray = np.subtract(pixels, level, dtype=np.float32)
    windowed /= width
    windowed += 0.5
    np.clip(windowed, 0, 1, out=windowed)
    return windowed
