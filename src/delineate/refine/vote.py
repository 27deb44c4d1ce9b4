"""One label per region, by a vote of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from delineate.arguments import Fraction, LabelNames
from delineate.components import components, numbered
from delineate.core import Geometry, Image, Refinement, Segmentation
from delineate.refine import tried
from delineate.refine._regions import (
    Chosen,
    apart,
    bounds,
    depth,
    diameter,
    needs_probabilities,
)


@tried({}, {"margin": 0.0}, {"margin": 0.2})
def vote(
    margin: Fraction = 0.1,
    min_part: Fraction = 0.25,
    min_depth: Fraction = 0.25,
    max_neck: Fraction = 0.5,
    agreement: Fraction = 0.9,
    labels: LabelNames | None = None,
) -> Refinement:
    """Give a region the one of its labels with the largest sum of probabilities. Needs probabilities.

    For objects that have one label each, such as polyps: a region is a connected component of the union of all labels,
    so organs that touch would become one organ. Labels that are included in another do not vote: they are part of it.
    A region is left as it is if its two largest votes v1, v2 are too close, (v1 - v2) / (v1 + v2) < `margin`, or if it
    is two objects that touch. It is, if each of these two labels covers at least `min_part` of it, its distance
    transform has a peak in each label with a valley between them that is as deep as a watershed asks (`min_depth`,
    `max_neck`), and the labels agree with the two sides of the valley. This is our own definition.

    Args:
        margin: of the votes; 0 flips all but ties.
        min_part: of the samples of the region.
        min_depth: depth of the valley below the lower peak, as a fraction of the diameter of a disc (in 3D a ball) of
            the region's size; the h of an h-maxima watershed.
        max_neck: width of the neck between the two objects, as a fraction of the width of the narrower one.
        agreement: fraction of the samples of the two labels that are nearer to their own label's peak.
        labels: names of the labels to process; all by default.

    Raises:
        ValueError: in use, if the prediction has no probabilities, or some are not finite.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        needs_probabilities(prediction, "vote")
        chosen = Chosen.of(prediction, labels)
        names = chosen.present(prediction.classes)
        if len(names) < 2:
            return prediction
        union = chosen.mask()
        box = bounds(union)
        assert box is not None  # two labels are there
        here = prediction.classes[box]
        numbers, sizes = components(union[box])
        parts = [prediction.labels.mask(name, here) for name in names]
        counts = np.stack([np.bincount(numbers[part], minlength=len(sizes)) for part in parts])
        mixed = (counts > 0).sum(axis=0) > 1
        if not mixed.any():
            return prediction
        inside = np.flatnonzero(np.take(mixed, numbers))
        of = numbers.ravel()[inside]
        votes = np.stack(
            [
                np.bincount(of, chosen.map(name, box).ravel()[inside], minlength=len(sizes))
                for name in names
            ]
        )
        votes[counts == 0] = -1  # a label that the region has not cannot win
        order = np.argsort(-votes, axis=0, kind="stable")
        first, second = order[0], order[1]
        every = np.arange(len(sizes))
        most, next_most = votes[first, every], votes[second, every]
        flipped = mixed & (most > next_most) & (most - next_most >= margin * (most + next_most))
        fewer = np.minimum(counts[first, every], counts[second, every])
        boxes = None
        for number in np.flatnonzero(flipped & (fewer >= min_part * sizes)):
            boxes = ndimage.find_objects(numbers) if boxes is None else boxes
            cut = boxes[number - 1]
            region = numbers[cut] == number
            pair = [region & parts[i][cut] for i in (first[number], second[number])]
            if _two_objects(region, pair, prediction.geometry, min_depth, max_neck, agreement):
                flipped[number] = False
        classes = prediction.classes.copy()
        changed = classes[box]
        for i, (name, part) in enumerate(zip(names, parts, strict=True)):
            lost = np.take(flipped & (first == i), numbers) & ~part
            changed[lost] = prediction.labels[name].value
        return prediction.changed(classes)

    return step


def _two_objects(
    region: np.ndarray,
    parts: Sequence[np.ndarray],
    geometry: Geometry,
    min_depth: float,
    max_neck: float,
    agreement: float,
) -> bool:
    """Whether the two labels of a region are two objects that touch.

    The peak of a label is the depth of the region at the innermost samples of the label. Above the level
    min(lower peak - min_depth d, max_neck lower peak), the two peaks must be in different components.
    """
    spacing = geometry.spacing
    whole = depth(region, spacing)
    if max_neck * whole.max() < min(spacing):  # no sample is below the level
        return False
    own = [depth(part, spacing) for part in parts]
    cores = [deep == deep.max() for deep in own]
    lower = min(float(whole[core].max()) for core in cores)
    across = diameter(np.count_nonzero(region) * geometry.sample_size, geometry.ndim)
    level = min(lower - min_depth * across, max_neck * lower)
    if level < min(spacing):
        return False
    lobes = numbered(whole > level)
    sides = [np.isin(lobes, lobes[core & (lobes > 0)]) & (lobes > 0) for core in cores]
    if not all(side.any() for side in sides) or (sides[0] & sides[1]).any():
        return False
    near, far = (apart(side, spacing) for side in sides)
    right = np.count_nonzero(parts[0] & (near < far)) + np.count_nonzero(parts[1] & (far < near))
    return bool(right >= agreement * sum(np.count_nonzero(part) for part in parts))
