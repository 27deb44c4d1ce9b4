"""Gamma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction, Positive
from delineate.prepare.augment._part import Augmentation, Curve
from delineate.prepare.augment._range import ordered


def gamma(gamma: tuple[Positive, Positive] = (0.7, 1.4), p: Fraction = 0.3) -> Augmentation:
    """Raise every value to a power; below 1 lights up what is dark.

    Args:
        gamma: from, to; drawn so that 1/2 is as likely as 2.
        p: probability.
    """
    return _Gamma(ordered("gamma", gamma, least=0.01), p)


@dataclass(frozen=True)
class _Gamma:
    gamma: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Curve | None:
        if rng.random() >= self.p:
            return None
        exponent = float(np.exp(rng.uniform(*np.log(self.gamma))))
        return Curve(lambda values: np.power(values, exponent))
