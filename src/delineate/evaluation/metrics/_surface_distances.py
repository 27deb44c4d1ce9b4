"""How far two surfaces lie apart, measured once per pair, from which every surface metric is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from delineate.core import Segmentation
from delineate.evaluation.metrics._pair import masks, remembered, same_layout
from delineate.evaluation.metrics._surface_nearest import nearest
from delineate.evaluation.metrics._surfels import surfel_areas, surfel_codes


class Side(NamedTuple):
    """One of two surfaces, piece by piece; empty if there is none.

    distances: from each piece to the nearest of the other surface, in the unit of the grid; inf if that is empty.
    areas: of each piece, in unit ** (ndim - 1) for surface elements, 1 for samples.
    """

    distances: np.ndarray
    areas: np.ndarray


Sides = dict[str, tuple[Side, Side]]
"""By label: the surface of what was found, the surface of the truth."""

Border = Callable[[np.ndarray, tuple[float, ...]], tuple[np.ndarray, np.ndarray]]
"""A padded mask and its spacing -> where its surface is, boolean, and the area of each piece of it."""


@remembered
def sample_distances(prediction: Segmentation, truth: Segmentation) -> Sides:
    """Between samples on the border of each mask: those with a face at the background or the edge of the image.

    Raises:
        ValueError: grids or names of labels differ.
    """
    return _measured(prediction, truth, _border_samples)


@remembered
def surfel_distances(prediction: Segmentation, truth: Segmentation) -> Sides:
    """Between the surface elements of each mask, one in each neighbourhood of 2 x 2 (x 2) samples that it crosses.

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
    """What `measure` makes of the two surfaces; NaN without any, and with one only the diagonal of the image."""
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
    """Each label's two masks in the box that holds both, one sample of background around, the finest axis first.

    And the spacing in that order, in which `nearest` is quickest.
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
    """The smallest box outside of which every array is 0; of one sample if they are 0 everywhere."""
    ndim = arrays[0].ndim
    box = [slice(None)] * ndim
    for axis in range(ndim):
        rest = tuple(a for a in range(ndim) if a != axis)
        used = [array[tuple(box)].max(axis=rest) for array in arrays]  # quicker than any()
        ends = np.flatnonzero(np.any(used, axis=0))
        box[axis] = slice(ends[0], ends[-1] + 1) if len(ends) else slice(0, 1)
    return tuple(box)


def _cut(segmentation: Segmentation, box: tuple[slice, ...]) -> Segmentation:
    """The label map in this box alone: whole masks of a small object take longer than all the rest."""
    classes = segmentation.classes[box]
    start = [side.start for side in box]
    geometry = segmentation.geometry.cropped(start, classes.shape)
    return Segmentation(classes, segmentation.labels, geometry)


def _border_samples(mask: np.ndarray, _: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which samples of a padded mask have a neighbour outside across a face; and an area of 1 for each."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        a, b = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        a[1:] &= b[:-1]
        a[:-1] &= b[1:]
    border = mask & ~inner
    return border, np.ones(np.count_nonzero(border))


def _border_surfels(mask: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which neighbourhoods of a padded mask a surface crosses; and the area of each piece."""
    codes = surfel_codes(mask)
    areas = surfel_areas(spacing)
    border = (codes != 0) & (codes != len(areas) - 1)
    return border, areas[codes[border]]
