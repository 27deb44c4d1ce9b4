"""Centreline Dice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from delineate.metrics import Empty, Tally, added, traits
from delineate.metrics._pair import masks, same_layout

if TYPE_CHECKING:
    from delineate.core import Segmentation


BATCH = 2**15
"""Samples whose neighbours are read at a time, to limit memory."""


def _harmonic_mean(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of topology precision and sensitivity.

    Parts are (4,): predicted skeleton in the truth, predicted skeleton, true skeleton in the prediction, true skeleton.
    NaN if both skeletons are empty.
    """
    a, predicted, b, true = np.moveaxis(added(parts, weights), -1, 0)
    below = (
        a * true + b * predicted
    )  # of a/predicted and b/true, multiplied out: 0 if either is empty
    score = np.divide(2 * a * b, below, out=np.zeros_like(below), where=below != 0)
    return np.where(predicted + true == 0, np.nan, score)


@traits(
    title="clDice",
    meaning=(
        "Share of each centreline that lies inside the other mask: whether vessels and other tubes stay "
        "connected."
    ),
    family="tubular",
    needs=frozenset({"classes"}),
    pooled=_harmonic_mean,
    empty=Empty(truth=0, prediction=0, both=None),
)
def cldice(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of centrelines, for vessels and other tubes, per label (clDice: Shit et al., CVPR 2021, eq. 3).

    The harmonic mean of two shares: of the predicted skeleton that lies in the truth, and of the true skeleton that
    lies in the prediction. A missing or false branch counts by its length in samples, however thin it is. The
    centreline of a tube of even width lies on one side of the middle; the side depends on the order in which samples
    are removed. This order depends on the two masks, not on the axes of the file, so flipping the image or swapping its
    axes does not change the score. With another order it would differ by about 0.02 in 2D and 0.06 in 3D on random
    vessels, more on blobs.
    """
    scores: dict[str, float] = {}
    for label, *pair in masks(*same_layout(prediction, truth)):
        here, there = _oriented(*pair)
        scores[label.name] = Tally("cldice", (*_within(here, there), *_within(there, here)))
    return scores


def _oriented(here: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop both masks to their bounding box, and bring them to a canonical orientation by flips and swaps of axes.

    Each axis is flipped so that the counts along it come first in lexicographic order, and the axes are sorted by these
    counts. Ties are decided by the masks themselves; masks that still tie are equal.
    """
    both = here | 2 * there.view(np.uint8)
    if not both.any():
        return here, there
    both = both[ndimage.find_objects((both > 0).view(np.uint8))[0]]
    counts, flips = [], []
    for axis in range(both.ndim):
        rest = tuple(a for a in range(both.ndim) if a != axis)
        along = np.stack([np.count_nonzero(both & bit, axis=rest) for bit in (1, 2)], axis=1)
        ways = {False: along.ravel().tolist(), True: along[::-1].ravel().tolist()}
        counts.append((len(along), min(ways.values())))
        flips.append([flip for flip, way in ways.items() if way == counts[-1][1]])
    orders = [o for o in permutations(range(both.ndim)) if [counts[a] for a in o] == sorted(counts)]
    turned = [
        np.flip(both, tuple(axis for axis, yes in enumerate(flip) if yes)).transpose(order)
        for order in orders
        for flip in product(*flips)
    ]
    best = turned[0] if len(turned) == 1 else min(turned, key=np.ndarray.tobytes)
    return best & 1 > 0, best & 2 > 0


def _within(mask: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Number of skeleton samples of `mask` that lie in `other`, and of all its skeleton samples."""
    if not mask.any():
        return 0, 0
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    skeleton = thin(mask[box])
    return int((skeleton & other[box]).sum()), int(skeleton.sum())


def thin(mask: np.ndarray) -> np.ndarray:
    """The centreline of a mask: thin, and with the topology of the mask; boolean (*spatial).

    Layer by layer, samples are removed that are simple points (their removal does not change the topology) and were not
    the end of a line when the layer began. Samples of the same subfield do not touch, so they are removed together
    (Németh, Kardos & Palágyi, ICIAR 2010: eight subfields in 3D, four in 2D). scikit-image's thinning in 3D removes
    solid tubes of even width completely (its issue 3757).
    """
    solid = np.pad(np.ascontiguousarray(mask), 1)
    flat, strides = solid.ravel(), np.array(solid.strides)  # in samples: a bool is one byte
    around = _offsets(mask.ndim) @ strides
    faces = around[np.abs(_offsets(mask.ndim)).sum(axis=1) == 1]
    places = np.flatnonzero(flat)
    phase = (np.array(np.unravel_index(places, solid.shape)) % 2).T @ 2 ** np.arange(mask.ndim)
    while True:
        layer = np.flatnonzero(~np.all([flat[places + face] for face in faces], axis=0))
        layer = layer[_at(flat, places[layer], around).sum(axis=1) > 1]
        for part in range(2**mask.ndim):
            turn = places[layer[phase[layer] == part]]
            flat[turn[_simple(flat, turn, around, mask.ndim)]] = False
        left = np.asarray(flat[places])
        if left.all():
            return solid[(slice(1, -1),) * mask.ndim]
        places, phase = places[left], phase[left]


def _at(flat: np.ndarray, places: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The values at offsets from places: (place, offset)."""
    return np.asarray(flat[places[:, None] + offsets])


def _simple(flat: np.ndarray, places: np.ndarray, around: np.ndarray, ndim: int) -> np.ndarray:
    """Whether each place is a simple point, which can be removed (Malandain & Bertrand, ICPR 1992)."""
    solid, empty, faces = _neighbours(ndim)
    codes = np.concatenate(
        [
            _at(flat, places[i : i + BATCH], around) @ 2 ** np.arange(len(around))
            for i in range(0, max(1, len(places)), BATCH)
        ]
    )
    kinds, kind = np.unique(
        codes, return_inverse=True
    )  # few differ, since surfaces are mostly flat
    here = (kinds[:, None] >> np.arange(len(around)) & 1).astype(bool)
    near = ~here & empty.any(axis=1)
    one = _one_piece(here, here, solid) & _one_piece(near, near & faces, empty)
    return np.asarray(one[kind])


def _one_piece(members: np.ndarray, wanted: np.ndarray, touch: np.ndarray) -> np.ndarray:
    """Whether there are wanted members, and all belong to one component of the members: (row,)."""
    reached = np.zeros_like(members)
    rows = np.arange(len(members))
    reached[rows, wanted.argmax(axis=1)] = True
    reached &= wanted
    while True:
        more = (reached.astype(np.float32) @ touch > 0) & members | reached
        if (more == reached).all():
            return np.asarray(wanted.any(axis=1) & (reached | ~wanted).all(axis=1))
        reached = more


def _offsets(ndim: int) -> np.ndarray:
    """Offsets to each neighbour that shares at least a corner: (neighbour, axis)."""
    return np.array([o for o in product((-1, 0, 1), repeat=ndim) if any(o)])


@lru_cache
def _neighbours(ndim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which neighbours of a sample touch each other as mask and as background, and which share its face.

    The mask is connected over corners. The background is connected over faces, among the neighbours that share a face
    or an edge with the sample.
    """
    offsets = _offsets(ndim)
    apart = np.abs(offsets[:, None] - offsets[None])
    near = np.abs(offsets).sum(axis=1)
    solid = apart.max(axis=2) == 1
    empty = (apart.sum(axis=2) == 1) & (near <= 2) & (near <= 2)[:, None]
    return solid.astype(np.float32), empty.astype(np.float32), near == 1
