"""Channel gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction
from delineate.prepare.augment._part import Augmentation, Mix
from delineate.prepare.augment._range import Range, spread


def channel_gain(gain: Range = 0.2, p: Fraction = 0.5) -> Augmentation:
    """Multiply each channel by a factor of its own, as another light source, stain or white balance does.

    Args:
        gain: factor, drawn for each channel; 0.2 is 0.8 to 1.2; or a pair.
        p: probability.
    """
    return _ChannelGain(spread("channel_gain: gain", gain, neutral=1, least=0), p)


@dataclass(frozen=True)
class _ChannelGain:
    gain: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mix | None:
        if rng.random() >= self.p:
            return None
        seed = int(rng.integers(2**63))  # how many channels there are is known later

        def matrix(mean: np.ndarray) -> np.ndarray:
            factors = np.random.default_rng(seed).uniform(*self.gain, len(mean))
            return np.column_stack([np.diag(factors), np.zeros(len(mean))])

        return Mix(matrix)
