"""Standardize intensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from annotated_types import Len

from delineate.arguments import Number, Positive
from delineate.prepare._arrays import is_interleaved
from delineate.prepare._step import ValueStep

# Mean and standard deviation of ImageNet's training images, 0 to 1, as in torchvision and timm; and of their grey
# version, as in timm for networks with one channel.
_IMAGENET = {3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), 1: ((0.449,), (0.226,))}


def standardize(
    by: Literal["imagenet", "image", "values"] = "imagenet",
    mean: Annotated[tuple[Number, ...], Len(1)] | None = None,
    std: Annotated[tuple[Positive, ...], Len(1)] | None = None,
    per: Literal["image", "channel"] = "channel",
    nonzero: bool = False,
) -> ValueStep:
    """Subtract a mean and divide by a standard deviation. This step and all later ones run after augmentation.

    Args:
        by: imagenet: the statistics that pretrained encoders expect, for 1 or 3 channels of unsigned integers over
            the range of their dtype, or of floats from 0 to 1. image: the statistics of the image itself (z-score).
            values: `mean` and `std`.
        mean: for by: values, one for all channels or one for each, in the units of the pixels.
        std: likewise.
        per: for by: image, one mean for the image or one for each channel.
        nonzero: for by: image, use only samples that are not 0, and keep the others 0.
    """
    if (by == "values") != (mean is not None and std is not None):
        raise ValueError(
            "standardize: by: values needs mean and std; the other choices of by take neither."
        )
    if by != "image" and (nonzero or per != "channel"):
        raise ValueError("standardize: nonzero and per are for by: image only.")
    return _Standardize(by, mean, std, per, nonzero)


@dataclass(frozen=True)
class _Standardize:
    by: Literal["imagenet", "image", "values"]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    per: Literal["image", "channel"]
    nonzero: bool
    after_augment: ClassVar[bool] = True

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        if self.by == "image":
            return self._by_image(pixels)
        if self.by == "imagenet":
            mean, std = _imagenet(pixels)
        else:
            mean = _one_each("mean", self.mean or (), pixels.shape[0])
            std = _one_each("std", self.std or (), pixels.shape[0])
        return _standardized(pixels, mean, std)

    def _by_image(self, pixels: np.ndarray) -> np.ndarray:
        axes = tuple(range(0 if self.per == "image" else 1, pixels.ndim))
        counted = pixels != 0 if self.nonzero else np.True_
        if self.nonzero and not counted.any():
            return np.zeros(pixels.shape, np.float32)
        size = (
            counted.sum(axes, keepdims=True)
            if self.nonzero
            else np.prod([pixels.shape[a] for a in axes])
        )
        size = np.maximum(size, 1)
        mean = (
            pixels.sum(axes, np.float64, keepdims=True) / size
        )  # samples that are not counted are 0
        centred: np.ndarray = np.subtract(pixels, mean.astype(np.float32), dtype=np.float32)
        centred *= counted
        with np.errstate(over="ignore", invalid="ignore"):
            std = np.sqrt(np.square(centred).sum(axes, np.float64, keepdims=True) / size)
        if not np.isfinite(std).all():
            raise ValueError(
                f"standardize: the values range from {pixels.min():.4g} to {pixels.max():.4g}, too far for float32. "
                "Is one of them an export error? Clip them first: write rescale_intensity before standardize."
            )
        centred /= np.where(std > 0, std, 1).astype(np.float32)
        return centred


def _imagenet(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if pixels.shape[0] not in _IMAGENET:
        raise ValueError(
            f"standardize: the image has {pixels.shape[0]} channels; by: imagenet expects 1 or 3. "
            "Use by: image or by: values, or write {channels: 3} before it."
        )
    if pixels.dtype.kind not in "uf":
        raise ValueError(
            f"standardize: the pixels are {pixels.dtype}; by: imagenet expects unsigned integers or floats. Write "
            "window or rescale_intensity before it."
        )
    full = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    mean, std = (np.array(value) * full for value in _IMAGENET[pixels.shape[0]])
    return mean, std


def _one_each(name: str, values: tuple[float, ...], channels: int) -> np.ndarray:
    if len(values) not in (1, channels):
        raise ValueError(
            f"standardize: {name} has {len(values)} values, but the image has {channels} channels; expected 1 or "
            f"{channels}."
        )
    return np.broadcast_to(np.array(values), channels)


def _standardized(pixels: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    standardized = np.empty(pixels.shape, np.float32)
    if pixels.dtype not in (np.uint8, np.uint16, np.int16, np.float32):
        pixels = pixels.astype(np.float32)
    planes: Sequence[np.ndarray] = list(pixels)
    if len(pixels) > 1 and is_interleaved(pixels):
        planes = cv2.split(np.moveaxis(pixels, 0, -1).reshape(pixels.shape[1], -1, len(pixels)))
    for plane, target, m, s in zip(planes, standardized, mean, std, strict=True):
        rows = np.ascontiguousarray(plane).reshape(len(target), -1)
        # Scale, shift and convert in one pass over memory; the second image has weight 0.
        cv2.addWeighted(rows, 1 / s, rows, 0, -m / s, target.reshape(rows.shape), cv2.CV_32F)
    return standardized
