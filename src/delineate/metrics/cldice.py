"""Centreline Dice."""

import numpy as np
from scipy import ndimage

from delineate.core import Segmentation
from delineate.metrics._pair import masks
from delineate.metrics._tally import Tally
from delineate.metrics._thin import thin
from delineate.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def cldice(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of centrelines, for vessels and other tubes, per label (clDice: Shit et al., CVPR 2021, eq. 3).

    The harmonic mean of the share of the found skeleton that lies in the truth and the share of the truth's skeleton
    that lies in what was found: a broken or an invented branch costs its length, however thin it is. Lengths are
    counted in samples; a skeleton may move by one sample if the grid is turned.
    """
    return {
        label.name: Tally("cldice", (*_within(here, there), *_within(there, here)))
        for label, here, there in masks(found, truth)
    }


def _within(mask: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Samples of the skeleton of `mask` in `other`, and of the skeleton."""
    if not mask.any():
        return 0, 0
    box = ndimage.find_objects(mask.view(np.uint8))[0]
    skeleton = thin(mask[box])
    return int((skeleton & other[box]).sum()), int(skeleton.sum())
