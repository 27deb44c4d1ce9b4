"""Shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction
from delineate.prepare.augment._part import Augmentation, Border, Warp
from delineate.prepare.augment._range import Range, spread


def shift(fraction: Range = 0.1, p: Fraction = 0.5, border: Border = "zero") -> Augmentation:
    """Shift along each axis.

    Args:
        fraction: of the length of the axis; 0.1 is -0.1 to 0.1; or a pair.
        p: probability.
        border: what comes in from outside: zero (and background), or reflect.
    """
    return _Shift(spread("shift: fraction", fraction), p, border)


@dataclass(frozen=True)
class _Shift:
    fraction: tuple[float, float]
    p: float
    border: Border

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        matrix = np.eye(len(shape) + 1)
        matrix[:-1, -1] = -rng.uniform(*self.fraction, size=len(shape)) * shape
        return Warp(matrix, border=self.border)
