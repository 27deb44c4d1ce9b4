"""Regions: connected components of the union of labels, and what the steps that work on regions share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from delineate.arguments import MOST
from delineate.components import components
from delineate.core import Geometry, Image, LabelSet, Segmentation

Box = tuple[slice, ...]

ROUNDING = 1e-6
"""Relative slack of a radius against rounding: three steps of 0.1 mm are more than 0.3 mm in binary."""

LARGE = 12
"""Above this radius in samples, a distance transform is faster than a dilation by a disc."""


@dataclass(frozen=True)
class Region:
    """A connected component: its boolean mask, cut to its box in the whole grid, and its size in samples."""

    box: Box
    mask: np.ndarray
    size: int

    def around(self, pad: Sequence[int], shape: Sequence[int]) -> tuple[Box, np.ndarray]:
        """The box, larger by `pad` samples along each axis where the grid has them, and the mask cut to that box."""
        box = widened(self.box, pad, shape)
        mask = np.zeros([b.stop - b.start for b in box], bool)
        mask[within(self.box, box)] = self.mask
        return box, mask


def regions(mask: np.ndarray, min_diameter: float = 0) -> list[Region]:
    """The regions of a mask: samples that share a corner are connected (8 neighbours in 2D, 26 in 3D).

    Regions whose `diameter`, in samples, is smaller are left out.
    """
    outer = bounds(mask)
    if outer is None:
        return []
    numbers, sizes = components(mask[outer])
    wanted = [n for n in range(1, len(sizes)) if diameter(sizes[n], mask.ndim) >= min_diameter]
    boxes = ndimage.find_objects(numbers) if wanted else []
    found = []
    for number in wanted:
        inner = boxes[number - 1]
        box = tuple(
            slice(o.start + i.start, o.start + i.stop) for o, i in zip(outer, inner, strict=True)
        )
        found.append(Region(box, numbers[inner] == number, int(sizes[number])))
    return found


def bounds(mask: np.ndarray) -> Box | None:
    """The smallest box that holds a mask; None if the mask is empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        there = np.flatnonzero(mask.any(axis=others))
        if not there.size:
            return None
        box.append(slice(int(there[0]), int(there[-1]) + 1))
    return tuple(box)


def widened(box: Box, pad: Sequence[int], shape: Sequence[int]) -> Box:
    """A box, larger by `pad` samples along each axis where the grid has them."""
    return tuple(
        slice(max(0, b.start - p), min(n, b.stop + p))
        for b, p, n in zip(box, pad, shape, strict=True)
    )


def within(inner: Box, outer: Box) -> Box:
    """The box `inner`, counted from the start of `outer`."""
    return tuple(
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )


def near_pairs(boxes: Sequence[Box]) -> Iterator[tuple[int, int]]:
    """The pairs of boxes that share a sample, as indices; each pair once."""
    if len(boxes) < 2:
        return
    low = np.array([[b.start for b in box] for box in boxes])
    high = np.array([[b.stop for b in box] for box in boxes])
    order = np.argsort(low[:, 0], kind="stable")
    low, high = low[order], high[order]
    last = np.searchsorted(low[:, 0], high[:, 0])  # further boxes start after the end of this one
    for i, end in enumerate(last):
        later = slice(i + 1, end)
        shared = ((low[later] < high[i]) & (low[i] < high[later])).all(axis=1)
        for j in np.flatnonzero(shared):
            yield int(order[i]), int(order[i + 1 + j])


def overlap(one: Box, other: Box) -> Box:
    """The box that two boxes share."""
    return tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )


# ---- labels


@dataclass(frozen=True)
class Chosen:
    """The labels a step works on: the outermost of those named, each with the labels it includes.

    Where a step removes such a label, a sample becomes what lies below it: the label that includes it, or background.
    """

    prediction: Segmentation
    names: tuple[str, ...]
    whole: bool

    @classmethod
    def of(cls, prediction: Segmentation, names: Sequence[str] | None) -> Chosen:
        """The labels named; all if `names` is None."""
        labels = prediction.labels
        wanted = labels.names if names is None else [n for n in labels.names if n in names]
        inner = {part for name in wanted for part in labels.parts(name)}
        outermost = tuple(name for name in wanted if name not in inner)
        return cls(prediction, outermost, names is None)

    @property
    def labels(self) -> LabelSet:
        """All labels of the prediction."""
        return self.prediction.labels

    def mask(self) -> np.ndarray:
        """Samples that have one of the labels: boolean, (*spatial)."""
        masks = [self.prediction.mask(name) for name in self.names]
        for other in masks[1:]:
            masks[0] |= other
        return masks[0]

    def below(self, name: str) -> int:
        """The value of a sample once the label is removed."""
        return self.labels.value_without(name)

    def present(self, classes: np.ndarray) -> list[str]:
        """Those of the labels that one of these values has; `classes` is a list of values or a part of a label map."""
        return [name for name in self.names if self.labels.mask(name, classes).any()]

    def map(self, name: str, box: Box) -> np.ndarray:
        """The probabilities of one label in a box."""
        assert self.prediction.probabilities is not None  # `needs_probabilities` comes first
        return np.asarray(self.prediction.probabilities[1 + self.labels.names.index(name)][box])

    def foreground(self, box: Box) -> np.ndarray:
        """The probability that a sample has one of the labels, in a box."""
        assert self.prediction.probabilities is not None
        if self.whole:
            return np.asarray(1 - self.prediction.probabilities[0][box])
        maps = [self.map(name, box) for name in self.names]
        return np.asarray(np.max(maps, axis=0) if self.labels.overlap else np.sum(maps, axis=0))

    def removed(self, classes: np.ndarray, where: np.ndarray) -> None:
        """Remove the labels from a label map in place, where `where` is true."""
        if all(self.below(name) == 0 for name in self.names):
            classes[where] = 0
            return
        before = classes.copy()
        for name in self.names:
            classes[where & self.labels.mask(name, before)] = self.below(name)


def needs_probabilities(prediction: Segmentation, step: str) -> np.ndarray:
    """The probabilities of a prediction, (1 + label, *spatial).

    Raises:
        ValueError: there are none, or some are not finite.
    """
    maps = prediction.probabilities
    if maps is None:
        raise ValueError(
            f"{step} needs the probabilities of the prediction, and this segmentation has none. Use it in `refine` of "
            "a recipe whose task gives probabilities, or leave it out."
        )
    if not np.isfinite(maps.max()):  # the maximum of NaN and any number is NaN
        raise ValueError(
            f"{step} got probabilities that contain NaN or infinity; expected numbers from 0 to 1. "
            "Check the network's output."
        )
    return maps


def winner(votes: Sequence[float], margin: float) -> int | None:
    """The index of the largest vote, or None if (first - second) / (first + second) is below `margin`."""
    if len(votes) < 2:
        return 0 if votes else None
    first, second = sorted(range(len(votes)), key=lambda i: -votes[i])[:2]
    lead, total = votes[first] - votes[second], votes[first] + votes[second]
    return first if lead > 0 and lead >= margin * total else None


# ---- shapes


def diameter(size: float, ndim: int) -> float:
    """The diameter of the disc or the ball of this area or volume."""
    return 2 * math.sqrt(size / math.pi) if ndim == 2 else (6 * size / math.pi) ** (1 / 3)


def radius(wanted: float, geometry: Geometry, most: float = MOST) -> float:
    """A radius in the unit of the grid: a whole number of its finest samples, at least one, at most `most`."""
    finest = min(geometry.spacing)
    return max(1, min(math.floor(wanted / finest + 0.5), math.floor(most / finest))) * finest


def reach(distance: float, geometry: Geometry) -> list[int]:
    """The samples along each axis that a distance spans, rounded down."""
    return [int(distance * (1 + ROUNDING) / step) for step in geometry.spacing]


def grow(mask: np.ndarray, distance: float, spacing: Sequence[float]) -> np.ndarray:
    """The samples at most `distance` from the mask: dilation by a disc or a ball. Nothing is beyond the array."""
    if mask.ndim == 2 and distance <= LARGE * min(spacing):
        return np.asarray(cv2.dilate(_bytes(mask), _disc(distance, spacing))).view(bool)
    if not mask.any():
        return mask.copy()
    return np.asarray(apart(mask, spacing) <= distance * (1 + ROUNDING))


def shrink(mask: np.ndarray, distance: float, spacing: Sequence[float]) -> np.ndarray:
    """The samples that have no sample outside the mask within `distance`: erosion by a disc or a ball.

    Beyond the array is neither inside nor outside, so a mask is not worn off at the edge of the image.
    """
    return ~grow(~mask, distance, spacing)


def touching(mask: np.ndarray, by: Sequence[int] | None = None) -> np.ndarray:
    """The mask and the samples at most `by` samples from it along each axis; by default one, which shares a corner."""
    sides = [1 + 2 * n for n in by or [1] * mask.ndim]
    if mask.ndim == 2:
        return np.asarray(cv2.dilate(_bytes(mask), np.ones(sides, np.uint8))).view(bool)
    return np.asarray(ndimage.maximum_filter(mask, sides, mode="constant"))


def apart(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The distance of each sample from a mask that is not empty."""
    if mask.ndim == 2 and spacing[0] == spacing[1]:
        pixels = cv2.distanceTransform(_bytes(~mask), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.asarray(pixels * spacing[0])
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing))


def depth(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The distance of each sample inside from the nearest sample outside; beyond the array is outside."""
    return apart(np.pad(~mask, 1, constant_values=True), spacing)[(slice(1, -1),) * mask.ndim]


def colour_axes(image: Image, box: Box) -> np.ndarray:
    """The colour axes of a part of an image, (axis, *spatial) float32.

    They are brightness, red - green and yellow - blue for three or four channels with two spatial axes; the fourth
    channel (transparency) is not used. Else each channel is an axis.
    """
    pixels = image.pixels[(slice(0, 4) if image.channels == 4 else slice(None), *box)]
    pixels = pixels.astype(np.float32)
    if not has_colour(image):
        return np.asarray(pixels)
    red, green, blue = pixels[:3]
    return np.stack([red + green + blue, red - green, (red + green) / 2 - blue])


def colour_spread(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of each colour axis over the whole image, two (axis,) float64.

    Not finite where the image is not.
    """
    wide = {"u1": np.int16, "i1": np.int16, "u2": np.int32, "i2": np.int32}
    pixels = image.pixels.astype(wide.get(image.pixels.dtype.str[1:], np.float64))
    pixels = pixels.reshape(len(pixels), -1)
    scale = np.ones(len(pixels))
    if has_colour(image):
        red, green, blue = pixels[:3]
        both = red + green
        pixels, scale = np.stack([both + blue, red - green, both - 2 * blue]), np.array([1, 1, 0.5])
    found = [cv2.meanStdDev(axis[None]) for axis in pixels]
    middle, spread = np.array([[float(value[0, 0]) for value in pair] for pair in found]).T
    return scale * middle, scale * spread


def has_colour(image: Image) -> bool:
    """Whether an image has red, green and blue, and perhaps transparency."""
    return image.geometry.ndim == 2 and image.channels in (3, 4)


def _bytes(mask: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(mask).view(np.uint8)


def _disc(distance: float, spacing: Sequence[float]) -> np.ndarray:
    """Offsets up to `distance` long. OpenCV's own ellipse is not the same after a turn by 90 degrees."""
    most = [int(distance * (1 + ROUNDING) / step) for step in spacing]
    rows, columns = np.ogrid[-most[0] : most[0] + 1, -most[1] : most[1] + 1]
    squared = (rows * spacing[0]) ** 2 + (columns * spacing[1]) ** 2
    return np.asarray(squared <= (distance * (1 + ROUNDING)) ** 2).astype(np.uint8)
