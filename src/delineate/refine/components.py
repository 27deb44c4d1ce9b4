"""Drop uncertain and small regions."""

from __future__ import annotations

import numpy as np

from delineate.arguments import Fraction, FractionBetween, LabelNames, NonNegative
from delineate.components import components as connected
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import tried
from delineate.refine._regions import Chosen, needs_probabilities

FRAME = 100 / (1280 * 995)
"""100 px of a colonoscopy frame of 1280 x 995 px, as a share of its area."""


@tried({}, {"min_share": 0.001}, {"min_share": 0.001, "min_ratio": 0.1}, {"min_ratio": 0.1})
def components(
    threshold: FractionBetween | None = None,
    min_size: NonNegative = 0,
    min_share: Fraction | None = None,
    min_ratio: Fraction = 0.01,
    certain: Fraction = 0.9,
    labels: LabelNames | None = None,
) -> Refinement:
    """Drop regions that are small, in the image and beside the largest region. Needs probabilities.

    A region is a connected component of the union of all labels: the parts of one polyp that have different labels are
    one region. A region is dropped if it is smaller than the largest of `min_size`, `min_share` of the image and
    `min_ratio` of the largest region. If all are, the one with the highest foreground probability stays, if that is
    above `certain`; the largest of those with the same probability. This is our own definition.

    Args:
        threshold: foreground is where the probabilities of all labels sum to more than this (1 - background); a new
            sample gets its most probable label. By default, foreground is what the task decided.
        min_size: in px², mm² or mm³.
        min_share: of the image's area or volume. By default 7.9e-5 in 2D (100 px of a frame of 1280 x 995 px), and 0
            in 3D, where the size of the scan says nothing of the size of the object.
        min_ratio: of the size of the largest region.
        certain: 1 drops all regions if all are small.
        labels: names of the labels to process; all by default.

    Raises:
        ValueError: in use, if the prediction has no probabilities, or some are not finite.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        needs_probabilities(prediction, "components")
        chosen = Chosen.of(prediction, labels)
        classes = prediction.classes.copy()
        mask = chosen.mask()
        if threshold is not None:
            mask = _thresholded(chosen, classes, mask, threshold)
        numbers, sizes = connected(mask)
        if len(sizes) > 1:
            share = min_share if min_share is not None else FRAME * (classes.ndim == 2)
            absolute = max(min_size / prediction.geometry.sample_size, share * classes.size)
            kept = sizes >= max(absolute, min_ratio * sizes[1:].max())
            kept[0] = True
            if not kept[1:].any():
                kept[_most_certain(chosen, numbers, sizes, certain)] = True
            if not kept.all():
                chosen.removed(classes, np.take(~kept, numbers))
        return prediction.changed(classes)

    return step


def _thresholded(
    chosen: Chosen, classes: np.ndarray, mask: np.ndarray, threshold: float
) -> np.ndarray:
    """The foreground at a threshold, to which the label map is changed in place.

    A label that is included by another is written where its own probability is above the threshold too.
    """
    everywhere = tuple(slice(0, n) for n in classes.shape)
    above = chosen.foreground(everywhere) > threshold
    chosen.removed(classes, mask & ~above)
    new, before = above & ~mask, classes.copy()
    best = np.full(classes.shape, -np.inf, np.float32)
    for name in chosen.names:
        share = chosen.map(name, everywhere)
        better = new & (before == chosen.below(name)) & (share > best)
        classes[better] = chosen.labels[name].value
        best[better] = share[better]
        for label in reversed(chosen.labels.inner_first):
            if label.name in chosen.labels.parts(name):
                inside = better & (chosen.map(label.name, everywhere) > threshold)
                classes[inside] = label.value
    return np.asarray((mask & above) | (new & (best > -np.inf)))


def _most_certain(
    chosen: Chosen, numbers: np.ndarray, sizes: np.ndarray, certain: float
) -> np.ndarray:
    """The numbers of the regions with the highest probability above `certain`, the largest of them; or none."""
    inside = np.flatnonzero(numbers)
    of = numbers.ravel()[inside]
    foreground = chosen.foreground(tuple(slice(0, n) for n in numbers.shape)).ravel()[inside]
    highest = np.full(len(sizes), -np.inf)
    np.maximum.at(highest, of, foreground)
    top = highest[1:].max()
    if not top > certain:
        return np.zeros(0, int)
    first = np.flatnonzero(highest == top)
    return np.asarray(first[sizes[first] == sizes[first].max()])
