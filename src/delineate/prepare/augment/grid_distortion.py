"""Grid distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction, FractionBelowOne
from delineate.prepare.augment._part import Augmentation, Border, Warp
from delineate.prepare.augment._range import Cells


def grid_distortion(
    cells: Cells = 5, limit: FractionBelowOne = 0.3, p: Fraction = 0.5, border: Border = "zero"
) -> Augmentation:
    """Stretch some strips of the image and squeeze others, along each axis; its ends stay where they are.

    Args:
        cells: strips along each axis.
        limit: how much wider or narrower a strip may become, below 1.
        p: probability.
        border: for what other augmentations bring in from outside: zero (and background), or reflect.
    """
    return _GridDistortion(cells, limit, p, border)


@dataclass(frozen=True)
class _GridDistortion:
    cells: int
    limit: float
    p: float
    border: Border

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        displacement = []
        for axis, n in enumerate(shape):
            width = rng.uniform(1 - self.limit, 1 + self.limit, self.cells)
            source = np.concatenate([[0], np.cumsum(width) / width.sum()]) * (n - 1)
            at = np.arange(n)
            moved = np.interp(at, np.linspace(0, n - 1, self.cells + 1), source) - at
            displacement.append(moved.reshape([-1 if a == axis else 1 for a in range(len(shape))]))
        return Warp(np.eye(len(shape) + 1), tuple(displacement), self.border)
