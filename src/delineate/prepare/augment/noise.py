"""Noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction, NonNegative
from delineate.prepare._arrays import channel_first, interleaved
from delineate.prepare.augment._colour import full_scale, to_dtype
from delineate.prepare.augment._part import Augmentation, Filter
from delineate.prepare.augment._range import ordered


def noise(std: tuple[NonNegative, NonNegative] = (0.0, 0.05), p: Fraction = 0.2) -> Augmentation:
    """Add Gaussian noise, drawn for each sample and channel.

    Args:
        std: standard deviation as a fraction of the full range, from, to.
        p: probability.
    """
    return _Noise(ordered("noise: std", std, least=0), p)


@dataclass(frozen=True)
class _Noise:
    std: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Filter | None:
        if rng.random() >= self.p:
            return None
        std, seed = rng.uniform(*self.std), int(rng.integers(2**63))
        return Filter(lambda pixels: _noisy(pixels, std, seed))


def _noisy(pixels: np.ndarray, std: float, seed: int) -> np.ndarray:
    memory = interleaved(pixels)
    found = np.random.default_rng(seed).standard_normal(memory.shape, np.float32)
    found *= std * full_scale(pixels.dtype)
    found += memory
    return channel_first(to_dtype(found, pixels.dtype))
