"""Compare regions by their colour: parts that look alike agree, and what looks like the surroundings is removed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from delineate.arguments import Fraction, LabelNames, NonNegative, Positive
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import tried
from delineate.refine._regions import (
    Chosen,
    Region,
    colour_axes,
    diameter,
    grow,
    near_pairs,
    needs_probabilities,
    overlap,
    radius,
    reach,
    regions,
    touching,
    widened,
    winner,
    within,
)

NORMAL = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""


@tried({}, {"alike": 0.5}, {"far": 1.5, "doubt": 0.9}, {"far": 3.0})
def colour(
    alike: Positive = 1.0,
    gap: Fraction = 0.1,
    margin: Fraction = 0.1,
    clear: Fraction = 0.7,
    far: Positive = 2.0,
    doubt: Fraction = 0.7,
    band: Fraction = 0.05,
    max_band: Positive = 15,
    keep: Fraction = 0.8,
    min_diameter: NonNegative = 12,
    labels: LabelNames | None = None,
) -> Refinement:
    """Compare regions by their colour: parts that look alike agree, what looks like the surroundings is removed.

    Needs probabilities. First, parts: connected components of one label each. Two parts are neighbours if they touch,
    or if at most `gap` of the smaller one's diameter lies between them. Neighbours that look alike take the label with
    the largest sum of probabilities over all of them, as in `vote`; parts whose own label is `clear` keep it.

    Then, each region (a connected component of the union of all labels) and its surroundings, a ring as wide as the
    rim that is examined. A sample of the rim is removed if its foreground probability is below `doubt`, its colour is
    more than `far` from the region's, and nearer to that of the surroundings. Nothing is removed where the region and
    its surroundings look alike, or if less than `keep` of the region would remain, or more than one part.

    Colours are compared by median and spread (1.4826 times the median absolute deviation) of each colour axis. The
    distance of two colours is the largest difference over the axes, in units of the spread; they look alike up to
    `alike`. It does not depend on the depth of the image: 8, 12 and 16 bits give the same. The axes of an image of
    three or four channels with two spatial axes are brightness, red - green and yellow - blue; the fourth channel
    (transparency) is not used. Else each channel is an axis: in a grey image and in a scan grey values are compared,
    which says less. This is our own definition.

    Args:
        alike: in spreads.
        gap: as a fraction of the diameter of a disc (in 3D a ball) of the smaller part's size.
        margin: of the votes v1 and v2: no part changes if (v1 - v2) / (v1 + v2) is below this.
        clear: a part keeps its label if its own votes for it and the new one have at least this margin.
        far: in spreads of the region.
        doubt: probability that a sample has any label.
        band: width of the rim and of the ring, as a fraction of the region's diameter; at least one sample.
        max_band: the largest width, in px or mm, along each axis.
        keep: fraction of the region's size.
        min_diameter: the colour of smaller regions is not judged: they lose no sample, and a part agrees with no
            other of these; in samples.
        labels: names of the labels to process; all by default.

    Raises:
        ValueError: in use, if the prediction has no probabilities, or some are not finite, or its grid is not that of
            the image.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        needs_probabilities(prediction, "colour")
        if image.geometry.shape != prediction.geometry.shape:
            raise ValueError(
                f"colour got an image of {image.geometry.shape} and a segmentation of {prediction.geometry.shape} "
                "samples; expected the same grid."
            )
        chosen = Chosen.of(prediction, labels)
        classes = prediction.classes.copy()
        if len(chosen.present(classes)) > 1:
            _agree(chosen, classes, image, alike, gap, margin, clear, min_diameter)
        union = chosen.mask()
        for region in regions(union, min_diameter):
            _question(
                chosen, classes, image, union, region, alike, far, doubt, band, max_band, keep
            )
        return prediction.changed(classes)

    return step


def _agree(
    chosen: Chosen,
    classes: np.ndarray,
    image: Image,
    alike: float,
    gap: float,
    margin: float,
    clear: float,
    min_diameter: float,
) -> None:
    """Let neighbouring parts that look alike take one label, in place."""
    masks = {name: chosen.prediction.mask(name) for name in chosen.names}
    if not any(regions(mask, min_diameter) for mask in masks.values()):
        return
    parts = [(name, part) for name in chosen.names for part in regions(masks[name])]
    groups = _groups(parts, chosen, image, alike, gap, min_diameter)
    for group in groups:
        names = list(dict.fromkeys(name for name, _ in group))
        if len(names) < 2:
            continue
        votes = np.array(
            [
                [chosen.map(name, part.box)[part.mask].sum(dtype=np.float64) for name in names]
                for _, part in group
            ]
        )
        first = winner([float(v) for v in votes.sum(axis=0)], margin)
        if first is None:
            continue
        for (name, part), own in zip(group, votes, strict=True):
            mine, new = own[names.index(name)], own[first]
            if name == names[first] or (mine - new) >= clear * (mine + new):
                continue
            here = classes[part.box]
            here[part.mask] = chosen.labels[names[first]].value


def _groups(
    parts: Sequence[tuple[str, Region]],
    chosen: Chosen,
    image: Image,
    alike: float,
    gap: float,
    min_diameter: float,
) -> list[list[tuple[str, Region]]]:
    """The parts, in groups that are linked by being neighbours that look alike."""
    geometry = chosen.prediction.geometry
    sizes = [diameter(part.size * geometry.sample_size, geometry.ndim) for _, part in parts]
    finest = min(geometry.spacing)
    reaches = [max(gap * size, finest) for size in sizes]
    wide = [
        widened(part.box, [max(1, n) for n in reach(r, geometry)], geometry.shape)
        for (_, part), r in zip(parts, reaches, strict=True)
    ]
    looks: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def look(i: int) -> tuple[np.ndarray, np.ndarray]:
        if i not in looks:
            part = parts[i][1]
            looks[i] = _look(_colours(colour_axes(image, part.box), part.mask))
        return looks[i]

    links = []
    judged = [diameter(part.size, geometry.ndim) >= min_diameter for _, part in parts]
    for i, j in near_pairs(wide):
        small, large = (i, j) if parts[i][1].size <= parts[j][1].size else (j, i)
        if not judged[large]:
            continue
        pad = [max(1, n) for n in reach(reaches[small], geometry)]
        box, mask = parts[small][1].around(pad, geometry.shape)
        other = parts[large][1]
        shared = overlap(box, other.box)
        if any(s.stop <= s.start for s in shared):
            continue
        # a diagonal step is a touch: its length is that of the diagonal of a sample
        distance = max(reaches[small], float(np.linalg.norm(geometry.spacing)))
        near = grow(mask, distance, geometry.spacing)[within(shared, box)]
        if (near & other.mask[within(shared, other.box)]).any() and _apart(
            look(i), look(j)
        ) <= alike:
            links.append((i, j))
    if not links:
        return []
    rows, columns = np.array(links).T
    graph = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(parts),) * 2)
    numbers = connected_components(graph, directed=False)[1]
    found: dict[int, list[tuple[str, Region]]] = {}
    for number, part in zip(numbers, parts, strict=True):
        found.setdefault(int(number), []).append(part)
    return list(found.values())


def _question(
    chosen: Chosen,
    classes: np.ndarray,
    image: Image,
    union: np.ndarray,
    region: Region,
    alike: float,
    far: float,
    doubt: float,
    band: float,
    max_band: float,
    keep: float,
) -> None:
    """Remove samples of the rim that look like the surroundings, in place."""
    geometry = chosen.prediction.geometry
    across = diameter(region.size * geometry.sample_size, geometry.ndim)
    distance = radius(band * across, geometry, max_band)
    wide = reach(distance, geometry)
    box, mask = region.around([n + 1 for n in wide], union.shape)
    unsure = mask & (chosen.foreground(box) < doubt)
    if not unsure.any():
        return
    core = ~touching(~mask, wide)
    unsure &= ~core
    ring = touching(mask, wide) & ~union[box]
    if not (unsure.any() and core.any() and ring.any()):
        return
    axes = colour_axes(image, box)
    inside, outside = _look(_colours(axes, core)), _look(_colours(axes, ring))
    if not _apart(inside, outside) > alike:
        return
    colours = _colours(np.stack([_smooth(axis) for axis in axes]), unsure)
    from_region = _distance(colours, *inside)
    from_ring = _distance(colours, *outside)
    gone = np.zeros(mask.shape, bool)
    gone[unsure] = (from_region > far) & (from_ring < from_region)
    left = mask & ~gone
    if np.count_nonzero(left) >= keep * region.size and len(components(left)[1]) == 2:
        chosen.removed(classes[box], gone)


# ---- colours


def _colours(axes: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The colours inside a mask, (axis, sample)."""
    return np.take(axes.reshape(len(axes), -1), np.flatnonzero(mask), axis=1)


def _look(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median of each axis of colours (axis, sample), and its spread."""
    middle = _median(colours)
    return middle, NORMAL * _median(np.abs(colours - middle[:, None]))


def _median(values: np.ndarray) -> np.ndarray:
    """The lower median of each row."""
    at = (values.shape[1] - 1) // 2
    return np.asarray(np.partition(values, at, axis=1)[:, at])


def _apart(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> float:
    """The distance of two looks, in units of their mean spread (root of the mean square)."""
    spread = np.sqrt((one[1] ** 2 + other[1] ** 2) / 2)
    return float(_distance(one[0][:, None], other[0], spread)[0])


def _distance(colours: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The distance of each of the colours (axis, sample) from a median: the largest over the axes, in spreads.

    Where the spread is 0, any other colour is infinitely far.
    """
    difference = np.abs(colours - middle[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        spreads = np.where(difference == 0, 0, difference / spread[:, None])
    return np.asarray(spreads.max(axis=0))


def _smooth(axis: np.ndarray) -> np.ndarray:
    """The mean of each sample and its neighbours, against noise."""
    if axis.ndim == 2:
        return np.asarray(cv2.blur(axis, (3, 3)))
    return np.asarray(ndimage.uniform_filter(axis, 3, mode="mirror"))
