"""Smooth the outline of each region, by a radius that follows its size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from delineate.arguments import Fraction, LabelNames, NonNegative, Positive
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import tried
from delineate.refine._regions import (
    Box,
    Chosen,
    Region,
    diameter,
    grow,
    near_pairs,
    needs_probabilities,
    overlap,
    radius,
    reach,
    regions,
    shrink,
    touching,
    widened,
    within,
)


@tried(
    {}, {"closing": 0.08, "opening": 0.04}, {"closing": 0.02, "opening": 0.01}, {"opening": 0.08}
)
def morphology(
    closing: Fraction = 0.04,
    opening: Fraction = 0.02,
    max_radius: Positive = 15,
    max_hole: NonNegative | None = 0.05,
    min_foreground: Fraction = 0.2,
    keep: Fraction = 0.9,
    min_diameter: NonNegative = 12,
    labels: LabelNames | None = None,
) -> Refinement:
    """Close, fill and open each region, by radii that follow its size. Needs probabilities.

    A region is a connected component of the union of all labels, treated alone, so that two regions never become one.
    With d the diameter of a disc (in 3D a ball) of the region's size, the radii are `closing` d and `opening` d,
    rounded to whole samples, at least one. Closing adds samples of a foreground probability above `min_foreground`
    only; holes are filled whatever their probability. Where two regions would grow together, only the one with the
    larger mean foreground probability grows. Opening is accepted if at least `keep` of the region remains, in one
    part. A new sample gets the most probable label of its region. This is our own definition.

    Args:
        closing: radius as a fraction of d; 0 leaves it out.
        opening: radius as a fraction of d; 0 leaves it out.
        max_radius: the largest radius, in px or mm.
        max_hole: the largest hole that is filled, as a fraction of the region's size; null fills all.
        min_foreground: probability that a sample has any label.
        keep: fraction of the region's size after closing.
        min_diameter: smaller regions are left as they are; in samples.
        labels: names of the labels to process; all by default.

    Raises:
        ValueError: in use, if the prediction has no probabilities, or some are not finite.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        needs_probabilities(prediction, "morphology")
        chosen, geometry = Chosen.of(prediction, labels), prediction.geometry
        union = chosen.mask()
        changes = []
        for region in regions(union, min_diameter):
            across = diameter(region.size * geometry.sample_size, geometry.ndim)
            distance = radius(closing * across, geometry, max_radius) if closing else 0.0
            changes.append(_closed(region, chosen, union, distance, max_hole, min_foreground))
        _keep_apart(changes, chosen)
        classes = prediction.classes.copy()
        for change in changes:
            grown = _joined(change)
            after = change.mask | grown
            count = int(np.count_nonzero(after))
            if opening:
                across = diameter(count * geometry.sample_size, geometry.ndim)
                distance = radius(opening * across, geometry, max_radius)
                after = _opened(after, distance, geometry.spacing, keep)
            here = classes[change.box]
            _label(chosen, here, after & grown, change.names, change.box)
            chosen.removed(here, change.mask & ~after)
        return prediction.changed(classes)

    return step


@dataclass
class _Change:
    """A region, the labels it has, and in a wider box its mask and the samples by which it grows."""

    region: Region
    names: list[str]
    box: Box
    mask: np.ndarray
    grown: np.ndarray


def _closed(
    region: Region,
    chosen: Chosen,
    union: np.ndarray,
    distance: float,
    max_hole: float | None,
    min_foreground: float,
) -> _Change:
    """Close a region and fill its holes, where no label is and no other region is near."""
    classes, geometry = chosen.prediction.classes, chosen.prediction.geometry
    names = chosen.present(classes[region.box][region.mask])
    pad = [n + 1 for n in reach(distance, geometry)]
    box, mask = region.around(pad, union.shape)
    here = classes[box]
    free = np.logical_or.reduce([here == value for value in {chosen.below(n) for n in names}])
    free &= ~mask
    others = union[box] & ~mask
    if others.any():
        free &= ~touching(others)
    whole = mask
    if distance:
        beyond = np.pad(mask, [(n, n) for n in pad])  # no growth towards the edge of the image
        closed = shrink(grow(beyond, distance, geometry.spacing), distance, geometry.spacing)
        closed = closed[tuple(slice(n, -n) for n in pad)]
        whole = mask | (closed & free & (chosen.foreground(box) > min_foreground))
    grown = (whole & ~mask) | _holes(whole, free, max_hole, region.size)
    return _Change(region, names, box, mask, grown)


def _holes(mask: np.ndarray, free: np.ndarray, max_hole: float | None, size: int) -> np.ndarray:
    """The holes of a mask that are free: parts of the rest that do not reach the edge of the array."""
    numbers, sizes = components(~mask, faces=True)
    hole = np.ones(len(sizes), bool) if max_hole is None else sizes <= max_hole * size
    hole[0] = False
    for axis in range(mask.ndim):
        for end in (0, -1):
            hole[np.take(numbers, end, axis=axis)] = False
    if not hole.any():
        return np.zeros(mask.shape, bool)
    hole[numbers[~mask & ~free]] = False
    return np.asarray(hole[numbers])


def _keep_apart(changes: list[_Change], chosen: Chosen) -> None:
    """Where the growths of two regions share a sample or touch, that of the lower mean probability gives way.

    Both do if the mean probabilities are equal, so that the result does not depend on an order.
    """
    growing = [change for change in changes if change.grown.any()]
    lost = [np.zeros(change.grown.shape, bool) for change in growing]
    means: dict[int, float] = {}

    def mean(i: int) -> float:
        if i not in means:
            region = growing[i].region
            inside = chosen.foreground(region.box)[region.mask]
            means[i] = float(inside.mean(dtype=np.float64))
        return means[i]

    shape = chosen.prediction.classes.shape
    wider = [widened(change.box, [1] * len(shape), shape) for change in growing]
    for i, j in near_pairs(wider):
        shared = overlap(wider[i], wider[j])
        both = [_cut(growing[k].grown, growing[k].box, shared) for k in (i, j)]
        if not (both[0].any() and both[1].any()):
            continue
        for (k, mine), (other, theirs) in permutations(zip((i, j), both, strict=True)):
            clash = mine & touching(theirs)
            if clash.any() and mean(k) <= mean(other):
                own = overlap(shared, growing[k].box)
                lost[k][within(own, growing[k].box)] |= clash[within(own, shared)]
    for change, gone in zip(growing, lost, strict=True):
        change.grown &= ~gone


def _cut(mask: np.ndarray, box: Box, wanted: Box) -> np.ndarray:
    """A mask of one box, on another box; false where the first does not reach."""
    cut = np.zeros([b.stop - b.start for b in wanted], bool)
    shared = overlap(box, wanted)
    cut[within(shared, wanted)] = mask[within(shared, box)]
    return cut


def _joined(change: _Change) -> np.ndarray:
    """The growth that is still connected with its region."""
    if not change.grown.any():
        return change.grown
    numbers, sizes = components(change.grown | change.mask)
    if len(sizes) == 2:
        return change.grown
    return np.asarray(change.grown & (numbers == numbers[change.mask][0]))


def _opened(
    mask: np.ndarray, distance: float, spacing: tuple[float, ...], keep: float
) -> np.ndarray:
    """The opened mask, or the mask itself if too little of it or more than one part would remain."""
    opened = grow(shrink(mask, distance, spacing), distance, spacing)
    remaining = np.count_nonzero(opened)
    if remaining < max(1, keep * np.count_nonzero(mask)) or len(components(opened)[1]) != 2:
        return mask
    return opened


def _label(
    chosen: Chosen, classes: np.ndarray, new: np.ndarray, names: list[str], box: Box
) -> None:
    """Give new samples the most probable label of their region, in place."""
    if not new.any():
        return
    before = classes.copy()
    best = np.full(classes.shape, -np.inf, np.float32)
    for name in names:
        share = chosen.map(name, box)
        better = new & (before == chosen.below(name)) & (share > best)
        classes[better] = chosen.labels[name].value
        best[better] = share[better]
