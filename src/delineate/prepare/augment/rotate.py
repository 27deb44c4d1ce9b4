"""Rotate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from delineate.arguments import Axis, Fraction
from delineate.prepare.augment._part import Augmentation, Border, Warp, about_centre
from delineate.prepare.augment._range import Range, axes_of, spread


def rotate(
    degrees: Range = 45,
    planes: tuple[tuple[Axis, Axis], ...] | None = None,
    p: Fraction = 0.5,
    border: Border = "zero",
) -> Augmentation:
    """Rotate about the centre, by an angle of its own in each plane.

    Angles are those of the array: a scan of unequal spacing is to be turned in the plane of its slices only.

    Args:
        degrees: 45 is -45 to 45; or a pair.
        planes: pairs of axes that turn into each other, as in [[1, 2]]; None is every plane.
        p: probability.
        border: what comes in from outside: zero (and background), or reflect.
    """
    return _Rotate(spread("rotate: degrees", degrees), planes, p, border)


@dataclass(frozen=True)
class _Rotate:
    degrees: tuple[float, float]
    planes: tuple[tuple[int, int], ...] | None
    p: float
    border: Border

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        turn = np.eye(len(shape))
        for pair in self.planes or combinations(range(len(shape)), 2):
            a, b = axes_of("rotate", pair, len(shape))
            angle = np.deg2rad(rng.uniform(*self.degrees))
            cos, sin = np.cos(angle), np.sin(angle)
            plane = np.eye(len(shape))
            plane[np.ix_((a, b), (a, b))] = [[cos, -sin], [sin, cos]]
            turn = turn @ plane
        return Warp(about_centre(turn, shape), border=self.border)
