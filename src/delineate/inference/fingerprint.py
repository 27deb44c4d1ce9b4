"""A fingerprint of the training images, and how another image differs from it, in words."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from delineate.core import Geometry, Image

FORMAT = 1
"""Format version of the fingerprint in a bundle's card."""

LEVELS = (0.0, 0.5, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5, 100.0)
"""Percentiles of each channel of the prepared image that are compared."""

CELLS = {2: 8, 3: 4}
"""Cells per axis in which mean brightness is compared, by number of axes."""

OWN, OF_ALL = 0.25, 0.1
"""Margin of a percentile beyond the training images, as a share of its own range there, or of the range of all."""

FEW = 4.0
"""FEW / (number of training images) is added to OWN, OF_ALL and OCTAVES: few images do not show the whole range."""

OCTAVES = {"contrast": 1.0, "size": 2.0, "spacing": 2.0, "enlarged": 2.0}
"""Margin beyond the training images, in octaves (factors of two)."""

ROUNDING = 1e-5
"""Margin for the six digits with which the ranges are stored, as a share of the value."""

GREY = 0.02
"""A photograph is grey if its channels differ by less than this share of its range."""

Range = tuple[tuple[float, ...], tuple[float, ...]]
"""The least and the largest value of each of several numbers among the training images."""


@dataclass(frozen=True)
class Measures:
    """The numbers of one image that a fingerprint compares; `Fingerprint` explains them."""

    axes: int
    channels: int
    unit: str
    type: str
    values: np.ndarray
    levels: np.ndarray
    contrast: np.ndarray
    size: np.ndarray
    spacing: np.ndarray
    shape: np.ndarray
    enlarged: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, image: Image, pixels: np.ndarray, grid: Geometry) -> Measures:
        """Measure an image.

        Args:
            image: as it was read.
            pixels: prepared, (channel, *spatial).
            grid: of the prepared pixels.
        """
        raw, geometry = image.pixels, image.geometry
        some = _thinned(pixels, 10_000)
        levels = np.percentile(some.reshape(len(some), -1), LEVELS, axis=1).T.astype(np.float64)
        spatial = tuple(range(1, pixels.ndim))
        levels[:, 0], levels[:, -1] = pixels.min(axis=spatial), pixels.max(axis=spatial)
        contrast = (levels[:, -2] - levels[:, 1]).max()
        enlarged = np.array(grid.shape) / np.array(geometry.shape)
        return cls(
            axes=geometry.ndim,
            channels=1 if _is_grey(raw) else len(raw),
            unit=geometry.unit,
            type=raw.dtype.name,
            values=np.array([raw.min(), raw.max()], np.float64),
            levels=levels.ravel(),
            contrast=np.log2([max(contrast, 1e-12)]),
            size=np.log2(grid.shape),
            spacing=np.log2(grid.spacing),
            shape=np.array(geometry.shape, np.float64),
            enlarged=np.log2([enlarged.max()]),
            cells=_cells(pixels),
        )


@dataclass(frozen=True)
class Fingerprint:
    """Ranges of properties of a model's training images, with which another image is compared.

    Intensities are compared after preparation, as the network gets them. A difference that preparation removes (the
    scale of an MR image that is standardized by itself) does not count; one that it keeps (12-bit values in a 16-bit
    file) does.

    images: number of training images.
    axes, channels, units, types: the values that occur; three equal channels of a photograph count as one.
    values: range of the least and of the largest value in a file.
    levels: ranges of the percentiles `LEVELS` of the prepared image, channel by channel.
    contrast: log2 of the distance between the 0.5th and the 99.5th percentile, of the channel where it is largest.
    size, spacing: log2 of the prepared shape, and of the prepared spacing in mm (none for pixels), along each axis.
    shape: of the file, along each axis.
    enlarged: log2 of the largest factor by which preparation enlarges an axis.
    layout: mean brightness per cell, each image standardized, averaged over images.
    likeness: correlation of an image's cells with `layout`.
    """

    images: int
    axes: tuple[int, ...]
    channels: tuple[int, ...]
    units: tuple[str, ...]
    types: tuple[str, ...]
    values: Range
    levels: Range
    contrast: Range
    size: Range
    spacing: Range
    shape: Range
    enlarged: Range
    layout: tuple[float, ...]
    likeness: Range

    @classmethod
    def of(cls, images: Sequence[Measures]) -> Fingerprint:
        """The fingerprint of some images.

        Raises:
            ValueError: no image, or prepared images that differ in their number of axes or channels.
        """
        if len({(seen.axes, seen.levels.size) for seen in images}) != 1:
            raise ValueError(
                "a fingerprint needs at least one image, and the same axes and channels in all prepared images."
            )
        layout = np.mean([seen.cells for seen in images], axis=0)
        spaced = [seen.spacing for seen in images if seen.unit == "mm"]
        return cls(
            images=len(images),
            axes=(images[0].axes,),
            channels=tuple(sorted({seen.channels for seen in images})),
            units=tuple(sorted({seen.unit for seen in images})),
            types=tuple(sorted({seen.type for seen in images})),
            values=_range([seen.values for seen in images]),
            levels=_range([seen.levels for seen in images]),
            contrast=_range([seen.contrast for seen in images]),
            size=_range([seen.size for seen in images]),
            spacing=_range(spaced) if spaced else ((), ()),
            shape=_range([seen.shape for seen in images]),
            enlarged=_range([seen.enlarged for seen in images]),
            layout=_short(layout),
            likeness=_range([_correlation(seen.cells, layout) for seen in images]),
        )

    def differences(self, image: Measures) -> tuple[str, ...]:
        """How an image differs from the training images, in words; empty if it does not."""
        return tuple(self._differences(image))

    def as_json(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Fingerprint | None:
        """Read the result of `as_json`, also from a JSON file; None if it has another format version.

        Raises:
            ValueError: entries are missing, unknown or not finite.
        """
        if not isinstance(tree, Mapping):
            raise ValueError("the fingerprint is damaged: expected a mapping.")
        given = dict(tree)
        if given.pop("format", None) != FORMAT:
            return None
        try:
            known = cls(**{name: _tuples(value) for name, value in given.items()})
        except TypeError as error:
            raise ValueError(f"the fingerprint is damaged: {error}.") from error
        for name, value in known._numbers():
            if not _is_finite(value):  # every comparison with NaN is false: no image would differ
                raise ValueError(
                    f"the fingerprint is damaged: {name} is {reprlib.repr(value)}; expected finite numbers."
                )
        return known

    def _numbers(self) -> Iterator[tuple[str, object]]:
        """Each list of numbers by name; the two lists of a range have the same length."""
        yield "images", [self.images or None]
        for name in ("axes", "channels", "layout"):
            yield name, getattr(self, name)
        for name in ("values", "levels", "contrast", "size", "spacing", "shape", "enlarged", "likeness"):  # fmt: skip
            ends = getattr(self, name)
            pair = isinstance(ends, tuple) and len(ends) == 2
            lists = pair and all(isinstance(end, tuple) for end in ends)
            yield name, (*ends[0], *ends[1]) if lists and len(ends[0]) == len(ends[1]) else [ends]

    def _differences(self, image: Measures) -> Iterator[str]:
        if image.axes not in self.axes:
            yield f"{image.axes} axes; training images have {_either(self.axes)}"
            return
        if image.channels not in self.channels:
            colourless = " (no colour)" if image.channels == 1 and 3 in self.channels else ""
            yield f"channels: {image.channels}{colourless}; training images have {_either(self.channels)}"
        if image.unit not in self.units:
            yield f"spacing in {image.unit}; training images have spacing in {_either(self.units)}"
        yield from self._grid(image)
        intensities = self._intensities(image)
        likeness = _correlation(image.cells, self.layout)
        if intensities:
            yield intensities
        elif self._below("likeness", likeness):
            (least,), (most,) = self.likeness
            yield (
                f"bright and dark parts are in other places (correlation with the mean training image "
                f"{likeness.item():.2f}; training images {least:.2f} to {most:.2f}): inverted, rotated, or another "
                "body part?"
            )

    def _grid(self, image: Measures) -> Iterator[str]:
        """Differences of shape and spacing after preparation, since resizing may remove those of the file."""
        if self._above("enlarged", image.enlarged):
            least = self.shape[0]
            yield f"shape {_times(image.shape)}; training images have at least {_times(least)}"
        elif self._above("size", image.size) or self._below("size", image.size):
            yield (
                f"shape {_times(2**image.size)} when prepared; training images have {self._powers('size')}"
            )
        spaced = image.unit == "mm" and bool(self.spacing[0])
        if spaced and (
            self._above("spacing", image.spacing) or self._below("spacing", image.spacing)
        ):
            yield (
                f"spacing {_times(2**image.spacing)} mm when prepared; training images have "
                f"{self._powers('spacing')}"
            )

    def _intensities(self, image: Measures) -> str:
        """How the values differ; "" if they do not, or if the number of channels differs."""
        low, high = self._bounds("levels")
        if image.levels.size != low.size:
            return ""
        contrast = self._above("contrast", image.contrast), self._below("contrast", image.contrast)
        beyond = np.maximum(low - image.levels, image.levels - high)
        least, most = image.values
        if least == most and any(contrast):
            return f"one value everywhere, {least:.4g}"
        if (beyond > 0).any():
            worst = int((beyond / np.maximum(high - low, 1e-12)).argmax())
            difference = "darker" if image.levels[worst] < low[worst] else "brighter"
            detail = (
                f"{_level(worst)} when prepared {image.levels[worst]:.4g}; training images "
                f"{self.levels[0][worst]:.4g} to {self.levels[1][worst]:.4g}"
            )
        elif any(contrast):
            difference = "more contrast" if contrast[0] else "less contrast"
            detail = (
                f"when prepared {2 ** image.contrast.item():.4g}; training images "
                f"{self._powers('contrast')}"
            )
        else:
            return ""
        outside = (image.values < self.values[0]).any() or (image.values > self.values[1]).any()
        if outside or image.type not in self.types:
            return (
                f"values {least:.4g} to {most:.4g}, {image.type}; training images {self.values[0][0]:.4g} to "
                f"{self.values[1][1]:.4g}, {_either(self.types)} ({detail})"
            )
        return f"{difference} than training images ({detail})"

    def _above(self, name: str, value: np.ndarray) -> bool:
        return bool((value > self._bounds(name)[1]).any())

    def _below(self, name: str, value: np.ndarray) -> bool:
        return bool((value < self._bounds(name)[0]).any())

    def _bounds(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The range of the training images, widened by a margin."""
        low, high = (np.array(end, np.float64) for end in getattr(self, name))
        few = FEW / self.images
        margin = (OWN + few) * (high - low) + ROUNDING * np.maximum(abs(low), abs(high))
        if name != "levels":
            margin += few + OCTAVES.get(name, 0.0)
            return low - margin, high + margin
        inner = slice(1, -1)  # the ends of a channel are single samples
        least, most = (end.reshape(-1, len(LEVELS))[:, inner] for end in (low, high))
        whole = most.max(axis=1, keepdims=True) - least.min(axis=1, keepdims=True)
        part = np.full(len(LEVELS), OF_ALL)
        part[[0, -1]] = 1.0
        margin = np.maximum(margin, (whole * (part + few)).ravel())
        return low - margin, high + margin

    def _powers(self, name: str) -> str:
        """A range of logarithms, as text of the plain values."""
        least, most = (_times(2 ** np.array(end)) for end in getattr(self, name))
        return least if least == most else f"{least} to {most}"


def _thinned(pixels: np.ndarray, samples: int) -> np.ndarray:
    """Every n-th sample along each axis, so that about `samples` remain per channel."""
    axes = pixels.ndim - 1
    step = max(1, int((pixels[0].size / samples) ** (1 / axes)))
    return pixels[(slice(None), *[slice(None, None, step)] * axes)]


def _is_grey(raw: np.ndarray) -> bool:
    """Whether an image has one channel, or is a photograph without colour; a constant image counts as coloured."""
    if len(raw) != 3 or raw.ndim != 3:
        return len(raw) == 1
    some = np.array(_thinned(raw, 5_000), np.float64, order="C")
    apart = np.abs(some[1:] - some[0]).max(axis=0).mean()
    return bool(apart < GREY * np.ptp(some))


def _cells(pixels: np.ndarray) -> np.ndarray:
    """The standardized mean of each cell of an image, over all channels; zeros if all are equal."""
    means = _thinned(pixels, 64_000).mean(axis=0, dtype=np.float64)
    count = CELLS[means.ndim]
    for axis, n in enumerate(means.shape):
        starts = np.minimum(np.arange(count) * n // count, n - 1)
        sizes = np.maximum(np.diff([*starts, n]), 1)
        sums = np.add.reduceat(means, starts, axis=axis)
        means = sums / sizes.reshape([-1 if a == axis else 1 for a in range(means.ndim)])
    cells = means.ravel() - means.mean()
    std = cells.std()
    flat = std <= 1e-6 * max(1.0, float(np.abs(means).max()))
    return np.zeros_like(cells) if flat else np.asarray(cells / std)


def _correlation(cells: np.ndarray, layout: np.ndarray | Sequence[float]) -> np.ndarray:
    """Pearson's correlation, (1,); 0 if either is constant."""
    centred = np.asarray(layout) - np.mean(layout)
    norm = float(np.sqrt((cells @ cells) * (centred @ centred)))
    return np.array([float(cells @ centred) / norm if norm > 0 else 0.0])


def _range(values: Sequence[np.ndarray]) -> Range:
    stacked = np.stack(values)
    return _short(stacked.min(axis=0)), _short(stacked.max(axis=0))


def _short(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)


def _is_finite(values: object) -> bool:
    return isinstance(values, list | tuple) and all(
        isinstance(value, int | float) and math.isfinite(value) for value in values
    )


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _either(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))


def _level(place: int) -> str:
    level = LEVELS[place % len(LEVELS)]
    return {0.0: "least value", 100.0: "largest value"}.get(level, f"{level:g}th percentile")


def _times(values: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
