"""Low resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction, FractionAboveZero
from delineate.prepare._resample import linear
from delineate.prepare.augment._part import Augmentation, Filter
from delineate.prepare.augment._range import ordered


def low_resolution(
    zoom: tuple[FractionAboveZero, FractionAboveZero] = (0.5, 1.0), p: Fraction = 0.2
) -> Augmentation:
    """Shrink the image and enlarge it again, as if a coarser camera or scanner had taken it.

    Isensee et al., Nature Methods 2021, who shrink by nearest neighbour and enlarge by cubic interpolation; both are
    linear here, the first antialiased.

    Args:
        zoom: factor on the number of samples along each axis, from, to; 0.5 is half the resolution.
        p: probability.
    """
    return _LowResolution(ordered("low_resolution: zoom", zoom, least=0, most=1), p)


@dataclass(frozen=True)
class _LowResolution:
    zoom: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Filter | None:
        if rng.random() >= self.p:
            return None
        zoom = rng.uniform(*self.zoom)
        small = tuple(max(1, round(n * zoom)) for n in shape)
        return Filter(lambda pixels: linear(linear(pixels, small), shape))
