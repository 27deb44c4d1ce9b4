"""Colour jitter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Fraction
from delineate.prepare.augment._part import Augmentation, Mix
from delineate.prepare.augment._range import Range, spread

_LUMA = np.array([0.299, 0.587, 0.114])
# Luma and two axes of colour (YIQ, NTSC 1953): a turn of the last two changes hue and keeps luma.
_YIQ = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_RGB = np.linalg.inv(_YIQ)


def colour_jitter(
    brightness: Range = 0.2,
    contrast: Range = 0.2,
    saturation: Range = 0.2,
    hue: Range = 0.05,
    p: Fraction = 0.5,
) -> Augmentation:
    """Change brightness, contrast, saturation and hue, in this order, as one mix of colours.

    Saturation and hue act on images with three channels, the others on all.

    Args:
        brightness: factor; 0.2 is 0.8 to 1.2; or a pair.
        contrast: factor about the mean grey; likewise.
        saturation: factor; 0 is grey; likewise.
        hue: turns; 0.05 is -0.05 to 0.05; or a pair.
        p: probability.
    """
    return _ColourJitter(
        spread("colour_jitter: brightness", brightness, neutral=1, least=0),
        spread("colour_jitter: contrast", contrast, neutral=1, least=0),
        spread("colour_jitter: saturation", saturation, neutral=1, least=0),
        spread("colour_jitter: hue", hue),
        p,
    )


@dataclass(frozen=True)
class _ColourJitter:
    brightness: tuple[float, float]
    contrast: tuple[float, float]
    saturation: tuple[float, float]
    hue: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Mix | None:
        if rng.random() >= self.p:
            return None
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        brightness, contrast, saturation, hue = (rng.uniform(*r) for r in ranges)

        def matrix(mean: np.ndarray) -> np.ndarray:
            grey = _LUMA @ mean if len(mean) == 3 else mean.mean()
            linear = np.eye(len(mean)) * brightness * contrast
            offset = np.full(len(mean), (1 - contrast) * brightness * grey)
            if len(mean) == 3:
                colour = _colour(saturation, hue)
                linear, offset = colour @ linear, colour @ offset
            return np.column_stack([linear, offset])

        return Mix(matrix)


def _colour(saturation: float, hue: float) -> np.ndarray:
    """The 3 x 3 matrix that keeps luma, scales colour by `saturation` and turns it by `hue` of a full turn."""
    cos, sin = saturation * np.cos(2 * np.pi * hue), saturation * np.sin(2 * np.pi * hue)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.asarray(_RGB @ turn @ _YIQ)
