"""Blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from annotated_types import Le

from delineate.arguments import Fraction, NonNegative
from delineate.prepare._arrays import channel_first, interleaved
from delineate.prepare.augment._part import Augmentation, Filter
from delineate.prepare.augment._range import ordered

Sigma = Annotated[NonNegative, Le(100)]


def blur(sigma: tuple[Sigma, Sigma] = (0.5, 1.5), p: Fraction = 0.2) -> Augmentation:
    """Blur with a Gaussian.

    Args:
        sigma: standard deviation in samples, from, to.
        p: probability.
    """
    return _Blur(ordered("blur: sigma", sigma, least=0), p)


@dataclass(frozen=True)
class _Blur:
    sigma: tuple[float, float]
    p: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Filter | None:
        if rng.random() >= self.p:
            return None
        sigma = rng.uniform(*self.sigma)
        return Filter(lambda pixels: _blurred(pixels, sigma))


def _blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    reach = round(3 * sigma)
    if reach == 0:
        return pixels
    if pixels.ndim == 3:
        kernel = cv2.getGaussianKernel(
            2 * reach + 1, sigma, cv2.CV_32F
        )  # faster so than GaussianBlur
        found = cv2.sepFilter2D(interleaved(pixels), -1, kernel, kernel)
        return channel_first(found.reshape(*pixels.shape[1:], len(pixels)))
    from scipy.ndimage import gaussian_filter

    axes = tuple(range(1, pixels.ndim))
    blurred: np.ndarray = gaussian_filter(
        pixels, sigma, output=np.float32, mode="mirror", radius=reach, axes=axes
    )
    return (np.rint(blurred) if pixels.dtype.kind == "u" else blurred).astype(
        pixels.dtype, copy=False
    )
