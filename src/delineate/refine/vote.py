"""One label per region, by a vote of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.arguments import Fraction, LabelNames
from delineate.components import numbered
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import tried
from delineate.refine._regions import (
    Chosen,
    Region,
    apart,
    depth,
    diameter,
    needs_probabilities,
    regions,
    winner,
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
        if len(chosen.present(prediction.classes)) < 2:
            return prediction
        classes = prediction.classes.copy()
        spacing = prediction.geometry.spacing
        for region in regions(chosen.mask()):
            here = classes[region.box]
            parts = {
                name: region.mask & prediction.labels.mask(name, here) for name in chosen.names
            }
            parts = {name: part for name, part in parts.items() if part.any()}
            if len(parts) < 2:
                continue
            names = list(parts)
            votes = [
                float(chosen.map(name, region.box)[region.mask].sum(dtype=np.float64))
                for name in names
            ]
            first = winner(votes, margin)
            if first is None:
                continue
            second = max((i for i in range(len(names)) if i != first), key=votes.__getitem__)
            pair = [parts[names[i]] for i in (first, second)]
            if min(part.sum() for part in pair) >= min_part * region.size and _two_objects(
                region, pair, spacing, min_depth, max_neck, agreement
            ):
                continue
            here[region.mask & ~parts[names[first]]] = prediction.labels[names[first]].value
        return prediction.changed(classes)

    return step


def _two_objects(
    region: Region,
    parts: Sequence[np.ndarray],
    spacing: Sequence[float],
    min_depth: float,
    max_neck: float,
    agreement: float,
) -> bool:
    """Whether the two labels of a region are two objects that touch.

    The peak of a label is the depth of the region at the innermost samples of the label. Above the level
    min(lower peak - min_depth d, max_neck lower peak), the two peaks must be in different components.
    """
    whole = depth(region.mask, spacing)
    cores = []
    for part in parts:
        own = depth(part, spacing)
        cores.append(own == own.max())
    lower = min(float(whole[core].max()) for core in cores)
    across = diameter(region.size * float(np.prod(spacing)), len(spacing))
    level = min(lower - min_depth * across, max_neck * lower)
    if level < 0:
        return False
    lobes = numbered(whole > level)
    sides = [np.isin(lobes, lobes[core & (lobes > 0)]) & (lobes > 0) for core in cores]
    if not all(side.any() for side in sides) or (sides[0] & sides[1]).any():
        return False
    distances = [apart(side, spacing) for side in sides]
    right = sum(
        np.count_nonzero(part & (own < other))
        for part, own, other in zip(parts, distances, distances[::-1], strict=True)
    )
    return bool(right >= agreement * sum(np.count_nonzero(part) for part in parts))
