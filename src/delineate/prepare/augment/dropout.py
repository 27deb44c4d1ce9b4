"""Coarse dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Le

from delineate.arguments import Fraction, NonNegativeWhole
from delineate.prepare.augment._part import Augmentation, Filter
from delineate.prepare.augment._range import ordered

Holes = Annotated[NonNegativeWhole, Le(1000)]


def dropout(
    holes: tuple[Holes, Holes] = (1, 8),
    size: tuple[Fraction, Fraction] = (0.05, 0.15),
    p: Fraction = 0.2,
) -> Augmentation:
    """Set boxes of the image to 0; the truth stays, so the network learns to look around (DeVries and Taylor, 2017).

    Args:
        holes: how many, from, to.
        size: length of a box as a fraction of each axis, from, to; a whole axis is 1.
        p: probability.
    """
    low, high = holes
    if low > high:
        raise ValueError(f"dropout: holes is {list(holes)}; expected [low, high].")
    return _Dropout((low, high), ordered("dropout: size", size, least=0, most=1), p)


@dataclass(frozen=True)
class _Dropout:
    holes: tuple[int, int]
    size: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Filter | None:
        if rng.random() >= self.p:
            return None
        count = int(rng.integers(self.holes[0], self.holes[1] + 1))
        length = np.maximum(1, rng.uniform(*self.size, (count, len(shape))) * shape).astype(int)
        start = rng.integers(0, np.array(shape) - length + 1)
        boxes = [tuple(map(slice, s, s + n)) for s, n in zip(start, length, strict=True)]
        return Filter(lambda pixels: _dropped(pixels, boxes))


def _dropped(pixels: np.ndarray, boxes: list[tuple[slice, ...]]) -> np.ndarray:
    found = pixels.copy(order="K")
    for box in boxes:
        found[(slice(None), *box)] = 0
    return found
