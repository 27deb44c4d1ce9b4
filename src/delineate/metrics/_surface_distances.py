"""Distances between two surfaces, computed once per pair; all surface metrics use them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import label as numbered_parts
from scipy.spatial import ConvexHull

from delineate.metrics import Tally
from delineate.metrics._pair import masks, remembered, same_layout
from delineate.metrics._surface_nearest import nearest

if TYPE_CHECKING:
    from delineate.core import Segmentation

ROUNDING = 1e-7
"""Relative slack of a tolerance against rounding: three steps of 0.1 mm are more than 0.3 mm in binary."""


class Side(NamedTuple):
    """The pieces of one of two surfaces; empty for an empty mask.

    distances: from each piece to the nearest piece of the other surface, in the unit of the grid; inf if that is empty.
    areas: of each piece, in unit ** (ndim - 1) for surface elements, 1 for samples.
    """

    distances: np.ndarray
    areas: np.ndarray


Sides = dict[str, tuple[Side, Side]]
"""By label: the surface of the prediction, the surface of the truth."""

Border = Callable[[np.ndarray, tuple[float, ...]], tuple[np.ndarray, np.ndarray]]
"""A padded mask and its spacing -> its surface, boolean, and the area of each piece of the surface."""


@remembered
def sample_distances(prediction: Segmentation, truth: Segmentation) -> Sides:
    """Distances between the border samples of each mask: those with a face at the background or the image's edge.

    Raises:
        ValueError: grids or names of labels differ.
    """
    return _measured(prediction, truth, _border_samples)


@remembered
def surfel_distances(prediction: Segmentation, truth: Segmentation) -> Sides:
    """Distances between the surface elements of each mask, one per neighbourhood of 2 x 2 (x 2) samples it crosses.

    Raises:
        ValueError: grids or names of labels differ.
    """
    return _measured(prediction, truth, _border_surfels)


def distance_by_label(
    prediction: Segmentation,
    truth: Segmentation,
    measure: Callable[[Side, Side], float],
    sides: Callable[[Segmentation, Segmentation], Sides] = sample_distances,
) -> dict[str, float]:
    """`measure` of the two surfaces, by label; NaN if both are empty, the diagonal of the image if one is."""
    geometry = same_layout(prediction, truth)[1].geometry
    diagonal = float(np.linalg.norm(np.multiply(geometry.shape, geometry.spacing)))
    scores = {}
    for name, (here, there) in sides(prediction, truth).items():
        surfaces = sum(side.distances.size > 0 for side in (here, there))
        if surfaces == 2:
            scores[name] = measure(here, there)
        else:
            scores[name] = diagonal if surfaces else np.nan
    return scores


def largest_percentile(
    prediction: Segmentation, truth: Segmentation, percentile: float
) -> dict[str, float]:
    """The larger of the percentiles in both directions, of distances between border samples, with interpolation."""
    return distance_by_label(
        prediction,
        truth,
        lambda *sides: max(float(np.percentile(side.distances, percentile)) for side in sides),
    )


def surface_within(sides: Sides, tolerance: float) -> dict[str, float]:
    """The share of the area of both surfaces within `tolerance` of the other, by label, as a tally; NaN without area.

    Raises:
        ValueError: tolerance is negative or infinite.
    """
    if not 0 <= tolerance < np.inf:
        raise ValueError(
            f"tolerance is {tolerance}; expected a distance of 0 or more, in mm or px."
        )
    limit = tolerance * (1 + ROUNDING)
    return {
        name: Tally(
            "ratio",
            (
                sum(float(side.areas[side.distances <= limit].sum()) for side in both),
                sum(float(side.areas.sum()) for side in both),
            ),
        )
        for name, both in sides.items()
    }


def _measured(prediction: Segmentation, truth: Segmentation, border: Border) -> Sides:
    crops, spacing = _crops(prediction, truth)
    sides = {}
    for name, pair in crops.items():
        (here, here_areas), (there, there_areas) = (border(mask, spacing) for mask in pair)
        sides[name] = (
            Side(nearest(here, there, np.array(spacing)), here_areas),
            Side(nearest(there, here, np.array(spacing)), there_areas),
        )
    return sides


@remembered
def _crops(
    prediction: Segmentation, truth: Segmentation
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], tuple[float, ...]]:
    """Each label's two masks, cropped to their bounding box plus one sample of background, and the spacing.

    The axis with the smallest spacing comes first, which is fastest in `nearest`.
    """
    prediction, truth = same_layout(prediction, truth)
    box = _box(prediction.classes, truth.classes)
    spacing = truth.geometry.spacing
    finest = int(np.argmin(spacing))
    crops = {}
    for label, *pair in masks(_cut(prediction, box), _cut(truth, box)):
        own = _box(*pair)
        here, there = (np.pad(np.moveaxis(mask[own], finest, 0), 1) for mask in pair)
        crops[label.name] = here, there
    return crops, (spacing[finest], *spacing[:finest], *spacing[finest + 1 :])


def _box(*arrays: np.ndarray) -> tuple[slice, ...]:
    """The bounding box of all nonzero samples; one sample if there is none."""
    ndim = arrays[0].ndim
    box = [slice(None)] * ndim
    for axis in range(ndim):
        rest = tuple(a for a in range(ndim) if a != axis)
        used = [array[tuple(box)].max(axis=rest) for array in arrays]  # faster than any()
        ends = np.flatnonzero(np.any(used, axis=0))
        box[axis] = slice(ends[0], ends[-1] + 1) if len(ends) else slice(0, 1)
    return tuple(box)


def _cut(segmentation: Segmentation, box: tuple[slice, ...]) -> Segmentation:
    """Crop the label map to a box; for a small object, whole masks would take most of the time."""
    classes = segmentation.classes[box]
    start = [side.start for side in box]
    geometry = segmentation.geometry.cropped(start, classes.shape)
    return replace(
        segmentation, classes=classes, geometry=geometry, instances=(), probabilities=None
    )


def _border_samples(mask: np.ndarray, _: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The samples of a padded mask with a face at the background, and an area of 1 for each."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        a, b = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        a[1:] &= b[:-1]
        a[:-1] &= b[1:]
    border = mask & ~inner
    return border, np.ones(np.count_nonzero(border))


def _border_surfels(mask: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The neighbourhoods of a padded mask that the surface crosses, and the area of each piece."""
    codes = surfel_codes(mask)
    areas = surfel_areas(spacing)
    border = (codes != 0) & (codes != len(areas) - 1)
    return border, areas[codes[border]]


def surfel_codes(mask: np.ndarray) -> np.ndarray:
    """The neighbourhood around each inner corner of the grid as a number, each axis one shorter than the mask's.

    Bit i is sample i of the neighbourhood in C order; a code of all zeros or all ones has no surface.
    """
    codes = mask.astype(np.uint8)
    for axis in reversed(range(mask.ndim)):
        lower = [slice(None)] * mask.ndim
        upper = lower.copy()
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        codes = codes[tuple(lower)] | codes[tuple(upper)] << 2 ** (mask.ndim - 1 - axis)
    return codes


@lru_cache(maxsize=64)
def surfel_areas(spacing: tuple[float, ...]) -> np.ndarray:
    """Area (3D) or length (2D) of the surface in each neighbourhood, by code; in the unit of `spacing`.

    The surface passes through the middles of the edges that it crosses, as in marching cubes (Lorensen and Cline,
    SIGGRAPH 1987). The areas equal those in the table of DeepMind's surface-distance.
    """
    sides = np.prod(spacing) / np.array(
        spacing
    )  # a facet normal to an axis scales with the other axes
    areas = np.asarray(np.linalg.norm(_facets(len(spacing)) * sides, axis=-1).sum(axis=-1))
    areas.flags.writeable = False
    return areas


@lru_cache(maxsize=2)
def _facets(ndim: int) -> np.ndarray:
    """Flat pieces of the surface in each neighbourhood at spacing 1, (code, piece, axis): normals of length = area.

    The surface encloses the connected parts of the smaller side, so parts that only touch stay separate.
    """
    size = 2**ndim
    last = 2**size - 1
    pieces = {}
    for code in range(last + 1):
        if code.bit_count() <= size // 2:
            side = np.array([code >> i & 1 for i in range(size)], bool).reshape((2,) * ndim)
            parts, count = numbered_parts(side)
            pieces[code] = [piece for i in range(count) for piece in _around(parts == i + 1)]
    facets = np.zeros((last + 1, max(map(len, pieces.values())), ndim))
    for code in range(last + 1):
        for i, piece in enumerate(pieces[code if code in pieces else last - code]):
            facets[code, i] = piece
    return facets


def _around(part: np.ndarray) -> np.ndarray:
    """Flat pieces (piece, axis) of the surface between a connected part of a neighbourhood and the rest.

    They bound the convex hull of the part's samples and of the middles of the edges that leave it.
    """
    samples = np.argwhere(part)
    joined = np.stack([np.flip(part, axis)[part] for axis in range(part.ndim)], axis=1)
    degree = joined.sum(axis=1)
    if sorted(degree) == [1, 1, 2, 2]:
        # Along a bent path of four samples the surface is a twisted hexagon, in no plane and no side of a hull. It
        # is cut into four triangles, two of them parallel, the same from either end of the path.
        middle = np.ptp(samples[degree == 2], axis=0)
        return np.vstack([np.full(3, 0.5), 0.25 * (np.eye(3)[middle == 0] + middle)])
    where, axis = np.nonzero(~joined)
    middles = samples[where] + np.eye(part.ndim)[axis] * (0.5 - samples[where, axis])[:, None]
    points = np.concatenate([samples, middles])
    hull = ConvexHull(points)
    corners = points[hull.simplices]  # (piece, corner, axis)
    on_side = ((corners == 0).all(axis=1) | (corners == 1).all(axis=1)).any(axis=1)
    edges = np.diff(corners[~on_side], axis=1)
    gram = edges @ np.swapaxes(edges, 1, 2)
    areas = np.sqrt(np.linalg.det(gram)) / math.factorial(part.ndim - 1)
    return np.asarray(areas[:, None] * hull.equations[~on_side, :-1])
