"""Centreline Dice."""

from itertools import permutations, product

import numpy as np
from scipy import ndimage

from delineate.core import Segmentation
from delineate.evaluation.metrics._pair import masks, same_layout
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._thin import thin
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
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
