"""Window."""

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
    """Show a range of Hounsfield units (or other values) as 0 to 1, the rest clipped.

    DICOM's LINEAR_EXACT (PS3.3 C.11.2.1.3): (x - level) / width + 0.5. Liver: level 40, width 150 to 400; soft
    tissue: 50, 400; lung: -600, 1500; bone: 400, 1800.

    Args:
        level: the middle of the window; several make one channel each, of an image with one channel.
        width: from one end of the window to the other, as many as levels or one for all.
    """
    levels = (level,) if isinstance(level, int | float) else tuple(level)
    widths = (width,) if isinstance(width, int | float) else tuple(width)
    widths = widths * len(levels) if len(widths) == 1 else widths
    if len(levels) != len(widths):
        raise ValueError(
            f"window: {len(levels)} levels and {len(widths)} widths; give one width for each."
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
    found: np.ndarray = np.subtract(pixels, level, dtype=np.float32)
    found /= width
    found += 0.5
    np.clip(found, 0, 1, out=found)
    return found
