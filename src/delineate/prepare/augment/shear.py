"""Shear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction
from delineate.prepare.augment._part import Augmentation, Border, Warp, about_centre
from delineate.prepare.augment._range import Range, spread


def shear(degrees: Range = 10, p: Fraction = 0.5, border: Border = "zero") -> Augmentation:
    """Slant every axis towards every other, about the centre.

    Args:
        degrees: 10 is -10 to 10; or a pair. Below 45.
        p: probability.
        border: what comes in from outside: zero (and background), or reflect.
    """
    low, high = spread("shear: degrees", degrees)
    if max(-low, high) >= 45:
        raise ValueError(f"shear: degrees is {degrees}; expected less than 45 to either side.")
    return _Shear((low, high), p, border)


@dataclass(frozen=True)
class _Shear:
    degrees: tuple[float, float]
    p: float
    border: Border

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        slant = np.tan(np.deg2rad(rng.uniform(*self.degrees, size=(len(shape), len(shape)))))
        np.fill_diagonal(slant, 1)
        return Warp(about_centre(slant, shape), border=self.border)
