"""Scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction, Positive
from delineate.prepare.augment._part import Augmentation, Border, Warp, about_centre
from delineate.prepare.augment._range import ordered


def scale(
    factor: tuple[Positive, Positive] = (0.8, 1.25),
    even: bool = True,
    p: Fraction = 0.5,
    border: Border = "zero",
) -> Augmentation:
    """Show things larger or smaller about the centre; halving is as likely as doubling.

    Args:
        factor: from, to; 2 shows everything twice as large.
        even: the same for every axis, or drawn for each.
        p: probability.
        border: what comes in from outside: zero (and background), or reflect.
    """
    return _Scale(ordered("scale: factor", factor, least=0.01), even, p, border)


@dataclass(frozen=True)
class _Scale:
    factor: tuple[float, float]
    even: bool
    p: float
    border: Border

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        low, high = np.log(self.factor)
        factor = np.exp(rng.uniform(low, high, size=1 if self.even else len(shape)))
        smaller = np.eye(len(shape)) / factor
        return Warp(about_centre(smaller, shape), border=self.border)
