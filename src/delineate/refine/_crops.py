"""Crops of the regions of a prediction: the input of the refinement network, and the way back to the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from delineate.core import Image, Segmentation
from delineate.refine._regions import needs_probabilities, regions

SIZE = 128
"""Samples along each side of a crop after it was resized."""

MOST = 64
"""Regions of one image that are cropped, the largest first: noise may have thousands."""

MARGIN = 1.25
"""Side of a crop, relative to the longer side of the region's box."""

SMALLEST = 64
"""Least side of a crop, in samples of the image."""

BAND = 0.1
"""Half width of the band around the border that may change, relative to the diameter of a disc of the region's area."""

LEAST_BAND = 4.0
"""Least half width of the band, in samples of the image."""

LARGEST_LOGIT = 6.0
"""As of `models.region_refiner`, which limits the logits of the given probabilities in the same way."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A square around one region, resized.

    pixels: (channel, size, size) float32: the image, standardized; the probabilities, one for each logit; the signed
        distance to the border of the region, negative inside, divided by the half width of the band, in [-1, 1].
    rows, columns: of the image, for each row and column of the square before it was resized. Beyond the image these
        repeat its last row or column.
    inside: (slice, slice): the part of the square that is in the image.
    """

    pixels: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    inside: tuple[slice, slice]

    @property
    def place(self) -> tuple[slice, slice]:
        """The part of the image that the square covers."""
        return tuple(
            slice(int(at[part][0]), int(at[part][-1]) + 1)
            for at, part in zip((self.rows, self.columns), self.inside, strict=True)
        )  # type: ignore[return-value]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """The square out of values (*any, row, column) of the image, before it is resized."""
        return np.asarray(values[..., self.rows[:, None], self.columns])

    def back(self, values: np.ndarray) -> np.ndarray:
        """Resize (channel, size, size) to the square, and return the part in the image: the shape of `place`."""
        side = len(self.rows)
        whole = resized(values, side)
        return whole[:, *self.inside]


def crops(
    prediction: Segmentation, image: Image, channels: int, most: int = MOST, size: int = SIZE
) -> Iterator[Crop]:
    """A crop for each of the largest regions: connected components of the union of all labels.

    Args:
        prediction: two axes, with probabilities.
        image: converted to `channels`, 1 or 3 as `prepare.channels` does.
        channels: channels of the image in the crops.
        most: largest number of crops.
        size: samples along each side.

    Raises:
        ValueError: the image has three axes or other channels, the prediction has no probabilities, or its labels
            overlap.
    """
    given = given_probabilities(prediction)
    found = sorted(regions(prediction.classes != 0), key=lambda region: -region.size)[:most]
    pixels = _standardized(_with_channels(image.pixels, channels)) if found else np.empty(0)
    shape = prediction.classes.shape
    for region in found:
        sides = [part.stop - part.start for part in region.box]
        side = max(SMALLEST, math.ceil(MARGIN * max(sides)))
        starts = [(part.start + part.stop - side) // 2 for part in region.box]
        rows, columns = (
            np.clip(np.arange(start, start + side), 0, n - 1)
            for start, n in zip(starts, shape, strict=True)
        )
        inside = tuple(
            slice(max(0, -start), min(side, n - start))
            for start, n in zip(starts, shape, strict=True)
        )
        crop = Crop(np.empty(0), rows, columns, (inside[0], inside[1]))
        there = np.zeros(shape, bool)
        there[region.box] = region.mask
        within = resized(crop.cut(there)[None].astype(np.float32), size)[0] > 0.5
        # the size within the image, since the repeated border would count as part of the region
        diameter = 2 * math.sqrt(region.size / math.pi)
        band = max(LEAST_BAND, BAND * diameter) * size / side
        layers = [
            resized(crop.cut(pixels), size),
            resized(crop.cut(given), size),
            np.clip(_signed_distance(within) / band, -1, 1)[None],
        ]
        yield Crop(np.concatenate(layers), rows, columns, crop.inside)


def _with_channels(pixels: np.ndarray, count: int) -> np.ndarray:
    """Without alpha, and grey as RGB or RGB as grey if `count` asks for it."""
    opaque = pixels[:-1] if len(pixels) in (2, 4) and count in (1, 3) else pixels
    if len(opaque) == count:
        return opaque
    if len(opaque) == 1 and count == 3:
        return np.repeat(opaque, 3, axis=0)
    if len(opaque) == 3 and count == 1:
        return np.tensordot(np.array([[0.299, 0.587, 0.114]], np.float32), opaque, 1)
    raise ValueError(
        f"the image has {len(pixels)} channels; the refinement network takes images with {count}. Leave the step "
        "network out of refine for such images."
    )


def _standardized(pixels: np.ndarray) -> np.ndarray:
    """Each channel with mean 0 and standard deviation 1: float32."""
    mean = pixels.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    spread = pixels.std(axis=(1, 2), keepdims=True, dtype=np.float64)
    standardized: np.ndarray = ((pixels - mean) / np.where(spread > 0, spread, 1)).astype(
        np.float32
    )
    return standardized


def given_probabilities(prediction: Segmentation) -> np.ndarray:
    """The probabilities of a prediction, one for each logit: of one label alone, or of background and labels.

    Raises:
        ValueError: the prediction has three axes, no finite probabilities, or labels that overlap.
    """
    if prediction.classes.ndim != 2:
        raise ValueError("the refinement network is for images with two axes; the data have three.")
    if prediction.labels.overlap:
        raise ValueError(
            "the refinement network is for labels that exclude each other; these overlap."
        )
    maps = needs_probabilities(prediction, "network")
    return maps[1:] if len(maps) == 2 else maps


def logits_of(given: np.ndarray) -> np.ndarray:
    """The limited logits of `given_probabilities`, on the first axis; equal to those in `models.region_refiner`."""
    if len(given) == 1:
        clipped = np.clip(given, 1e-7, 1 - 1e-7)
        logits = np.log(clipped) - np.log1p(-clipped)
        limited: np.ndarray = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
        return limited
    logs: np.ndarray = np.log(np.maximum(given, math.exp(-LARGEST_LOGIT)))
    return logs


def resized(maps: np.ndarray, side: int) -> np.ndarray:
    """(channel, square, square) float32 resized to (channel, side, side): area means to shrink, linear to enlarge."""
    if maps.shape[1] == side:
        return maps
    way = cv2.INTER_AREA if maps.shape[1] > side else cv2.INTER_LINEAR
    # one channel at a time: OpenCV limits their number
    return np.stack([cv2.resize(one, (side, side), interpolation=way) for one in maps])


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """The distance of each sample's centre to the border of a mask, in samples; negative inside."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance: np.ndarray = np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float32)
    return distance
