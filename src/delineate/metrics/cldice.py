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
"""Samples whose neighbours are looked at together, so that memory stays bounded."""


def _harmonic_mean(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Harmonic mean of topology precision and sensitivity.

    Parts are (4,): found skeleton in the truth, found skeleton, true skeleton in what was found, true skeleton.
    NaN where there is no skeleton at all.
    """
    a, found, b, true = np.moveaxis(added(parts, weights), -1, 0)
    below = a * true + b * found  # of a/found and b/true, multiplied out: 0 where either is empty
    score = np.divide(2 * a * b, below, out=np.zeros_like(below), where=below != 0)
    return np.where(found + true == 0, np.nan, score)


@traits(
    title="clDice",
    meaning=(
        "Overlap of the centre lines with the other's area or volume: whether vessels and other tubes "
        "stay connected."
    ),
    family="tubular",
    needs=frozenset({"classes"}),
    pooled=_harmonic_mean,
    empty=Empty(truth=0, prediction=0, both=None),
)
def cldice(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of centrelines, for vessels and other tubes, per label (clDice: Shit et al., CVPR 2021, eq. 3).

    The harmonic mean of the share of the found skeleton that lies in the truth and the share of the truth's skeleton
    that lies in what was found: a broken or an invented branch costs its length, however thin it is. Lengths are
    counted in samples. Where a tube has an even width, its centreline lies on one side of the middle, and which side
    depends on the order in which samples are taken off. That order follows the two masks, not the axes of the file,
    so the score does not change where the image is flipped or its axes are swapped. What another order would give
    differs by about 0.02 in 2D and 0.06 in 3D on random vessels, more on blobs.
    """
    scores: dict[str, float] = {}
    for label, *pair in masks(*same_layout(prediction, truth)):
        here, there = _oriented(*pair)
        scores[label.name] = Tally("cldice", (*_within(here, there), *_within(there, here)))
    return scores


def _oriented(here: np.ndarray, there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks in the box that holds them, flipped and with axes swapped to the one orientation that they prefer.

    Each axis is flipped so that the counts along it come first in the order of the dictionary, and axes are sorted by
    these. What that leaves open is decided by the masks themselves; what even they leave open changes nothing.
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
    """Samples of the skeleton of `mask` in `other`, and of the skeleton."""
    if not mask.any():
        return 0, 0
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    skeleton = thin(mask[box])
    return int((skeleton & other[box]).sum()), int(skeleton.sum())


def thin(mask: np.ndarray) -> np.ndarray:
    """The centreline of a mask: thin, connected as the mask is, with its holes and tunnels; boolean (*spatial).

    Layer by layer, samples are taken off that are simple (their going changes no topology) and were no end of a
    line when the layer began. Of those that lie on the same phase of a grid of twos none touch, so they go together
    (Németh, Kardos & Palágyi, ICIAR 2010: eight subfields in 3D, four in 2D). scikit-image's thinning in 3D loses solid
    tubes of even width altogether (its issue 3757).
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
    """What lies around places: (place, offset)."""
    return np.asarray(flat[places[:, None] + offsets])


def _simple(flat: np.ndarray, places: np.ndarray, around: np.ndarray, ndim: int) -> np.ndarray:
    """Whether the topology stays when one of these places is emptied (Malandain & Bertrand, ICPR 1992)."""
    solid, empty, faces = _neighbours(ndim)
    codes = np.concatenate(
        [
            _at(flat, places[i : i + BATCH], around) @ 2 ** np.arange(len(around))
            for i in range(0, max(1, len(places)), BATCH)
        ]
    )
    kinds, kind = np.unique(codes, return_inverse=True)  # few differ: surfaces are mostly flat
    here = (kinds[:, None] >> np.arange(len(around)) & 1).astype(bool)
    near = ~here & empty.any(axis=1)
    one = _one_piece(here, here, solid) & _one_piece(near, near & faces, empty)
    return np.asarray(one[kind])


def _one_piece(members: np.ndarray, wanted: np.ndarray, touch: np.ndarray) -> np.ndarray:
    """Whether there are wanted members, and all are in one piece of the members: (row,) of (row, neighbour)."""
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
    """To each neighbour that shares at least a corner: (neighbour, axis)."""
    return np.array([o for o in product((-1, 0, 1), repeat=ndim) if any(o)])


@lru_cache
def _neighbours(ndim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which neighbours of a sample touch each other as mask and as background, and which share its face.

    Mask is connected by corners, background by faces, and that among those that share a face or an edge alone.
    """
    offsets = _offsets(ndim)
    apart = np.abs(offsets[:, None] - offsets[None])
    near = np.abs(offsets).sum(axis=1)
    solid = apart.max(axis=2) == 1
    empty = (apart.sum(axis=2) == 1) & (near <= 2) & (near <= 2)[:, None]
    return solid.astype(np.float32), empty.astype(np.float32), near == 1
