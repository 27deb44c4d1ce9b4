"""Rescale intensities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from delineate.arguments import Number
from delineate.prepare._step import ValueStep


def rescale_intensity(
    low: Number = 0.5,
    high: Number = 99.5,
    by: Literal["percentiles", "values"] = "percentiles",
    per: Literal["image", "channel"] = "image",
) -> ValueStep:
    """Rescale values from `low` to `high` linearly to 0 to 1, and clip the others.

    A constant image becomes 0.

    Args:
        low: the value that becomes 0.
        high: the value that becomes 1.
        by: whether low and high are percentiles of the image or plain values.
        per: percentiles of the whole image, or of each channel (the sequences of an MR study).
    """
    if not low < high:
        raise ValueError(
            f"rescale_intensity: low is {low} and high is {high}; expected low below high."
        )
    if by == "percentiles" and not 0 <= low < high <= 100:
        raise ValueError(
            f"rescale_intensity: percentiles {low} and {high}; expected 0 to 100, or by: values."
        )
    return _RescaleIntensity(low, high, by, per)


@dataclass(frozen=True)
class _RescaleIntensity:
    low: float
    high: float
    by: Literal["percentiles", "values"]
    per: Literal["image", "channel"]
    after_augment: ClassVar[bool] = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        axes = tuple(range(0 if self.per == "image" else 1, pixels.ndim))
        low, high = (
            np.percentile(pixels, [self.low, self.high], axis=axes, keepdims=True).astype(
                np.float32
            )
            if self.by == "percentiles"
            else np.array([self.low, self.high], np.float32)
        )
        rescaled: np.ndarray = np.subtract(pixels, low, dtype=np.float32)
        rescaled /= np.where(high > low, high - low, np.inf)
        np.clip(rescaled, 0, 1, out=rescaled)
        return rescaled
