"""Brightness and contrast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction
from delineate.prepare.augment._part import Augmentation, Mix
from delineate.prepare.augment._range import Range, spread


def brightness_contrast(
    brightness: Range = 0.2, contrast: Range = 0.2, p: Fraction = 0.5
) -> Augmentation:
    """Add to every value, and spread values about their mean; the same for every channel.

    Args:
        brightness: added, as a fraction of the full range; 0.2 is -0.2 to 0.2; or a pair.
        contrast: factor about the mean; 0.2 is 0.8 to 1.2; or a pair.
        p: probability.
    """
    return _BrightnessContrast(
        spread("brightness_contrast: brightness", brightness),
        spread("brightness_contrast: contrast", contrast, neutral=1, least=0),
        p,
    )


@dataclass(frozen=True)
class _BrightnessContrast:
    brightness: tuple[float, float]
    contrast: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mix | None:
        if rng.random() >= self.p:
            return None
        added, factor = rng.uniform(*self.brightness), rng.uniform(*self.contrast)

        def matrix(mean: np.ndarray) -> np.ndarray:
            offset = np.full(len(mean), added + (1 - factor) * mean.mean())
            return np.column_stack([np.eye(len(mean)) * factor, offset])

        return Mix(matrix)
