"""Quarter turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Axis, Fraction
from delineate.prepare.augment._part import Augmentation, Warp, about_centre
from delineate.prepare.augment._range import axes_of


def rotate90(plane: tuple[Axis, Axis] = (-2, -1), p: Fraction = 0.5) -> Augmentation:
    """Turn by 90, 180 or 270 degrees; only by 180 where the plane is not square.

    Args:
        plane: the two axes of the array that turn into each other.
        p: probability.
    """
    return _Rotate90(plane, p)


@dataclass(frozen=True)
class _Rotate90:
    plane: tuple[int, int]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        a, b = axes_of("rotate90", self.plane, len(shape))
        turns = int(rng.integers(1, 4)) if shape[a] == shape[b] else 2
        quarter = np.eye(len(shape))
        quarter[np.ix_((a, b), (a, b))] = [[0, -1], [1, 0]]
        return Warp(about_centre(np.linalg.matrix_power(quarter, turns), shape))
