"""How often each probability was given to a label where it is, and where it is not.

A trained network puts nearly all samples so close to 0 and 1 that bins of equal width hold most of them in the first
and the last: that costs 1e-4 of AUROC and more. So the bins are those of floating point, so many to each octave of
p below one half, and of 1 - p above it: fine everywhere that a float32 is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from delineate.metrics._pair import Samples, probabilities, remembered
from delineate.metrics._ranks import points

if TYPE_CHECKING:
    from delineate.core import Segmentation

OCTAVE = 2**12
"""Fine bins to an octave, a power of two."""

HALF = 126 * OCTAVE
"""The fine bin of p = 1/2 alone; below it is every octave that a float32 has."""

TOP = 24 * OCTAVE
"""Fine bins above 1/2, where 1 - p is 0 or at least 2**-24; the last is 1 alone."""

COARSE = (64, 32, *[16] * 22, *[4] * 102)
"""Coarse bins to each octave, from 1/2 downwards: what a case keeps for pooling, 10 kB a label, and 18 kB of points."""

EXACT = 2**18
"""Up to so many samples every probability is a bin of its own: an ordinary photograph needs no rounding."""


class Histogram(NamedTuple):
    """Samples of a label by rising probability, (2, bin): where the label is not, and where it is.

    fine: bins that hold something, at all.
    coarse: uint32; what one bin holds reaches its threshold in `THRESHOLDS`. 0, 1/2 and 1 are bins of their own.
    points: uint32; some of the values, as `_ranks.points` has them.
    """

    fine: np.ndarray
    coarse: np.ndarray
    points: np.ndarray

    @property
    def parts(self) -> np.ndarray:
        """What a tally keeps to be pooled: coarse bins, then points."""
        return np.concatenate([self.coarse, self.points], axis=1)


class RocCurve(NamedTuple):
    """Points of a ROC curve, from nothing found to all."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    threshold: np.ndarray


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, from little found to all."""

    recall: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray


def roc_curve(parts: np.ndarray) -> RocCurve:
    """The ROC curve of the parts of an AUROC tally, of one case or summed over cases.

    Found is what reaches the threshold; the first, inf, finds nothing. NaN where truth or background is empty.
    """
    false, true, threshold = _found(parts)
    return RocCurve(
        _share(np.concatenate(([0.0], false))),
        _share(np.concatenate(([0.0], true))),
        np.concatenate(([np.inf], threshold)),
    )


def precision_recall_curve(parts: np.ndarray) -> PrecisionRecallCurve:
    """The precision-recall curve of the parts of an average precision tally, of one case or summed over cases.

    Found is what reaches the threshold. NaN recall where the truth is empty.
    """
    false, true, threshold = _found(parts)
    return PrecisionRecallCurve(_share(true), true / (true + false), threshold)


@remembered  # auroc and average_precision ask for the same
def histograms(prediction: Segmentation, truth: Segmentation) -> dict[str, Histogram]:
    """The histogram of each label's own probability."""
    return {label.name: _histogram(samples) for label, samples in probabilities(prediction, truth)}


def _histogram(samples: Samples) -> Histogram:
    if len(samples) <= EXACT:
        every = [np.concatenate(arrays) for arrays in zip(*samples, strict=True)]
        probability, there = every or (np.zeros(0, np.float32), np.zeros(0, bool))
        values, code = np.unique(probability, return_inverse=True)
        bins = _rank(_code(values))
        fine = _count([(code, there)], values.size)
    else:
        coded = ((_code(probability), there) for probability, there in samples)
        fine = _count(coded, HALF + 1 + TOP)
        fine[:, HALF + 1 :] = fine[:, :HALF:-1]  # as `_rank` does
        bins = np.flatnonzero(fine.any(axis=0))
        fine = fine[:, bins]
        values = _thresholds(bins).astype(np.float32)
    place = np.searchsorted(STARTS, bins, side="right") - 1
    coarse = np.stack([np.bincount(place, row, STARTS.size) for row in fine]).astype(np.uint32)
    absent, present = fine
    kept = points(values, absent, tail=True), points(values, present)
    return Histogram(fine, coarse, np.stack(kept))


def _count(coded: Iterable[tuple[np.ndarray, np.ndarray]], bins: int) -> np.ndarray:
    """Samples by code, (2, bins): absent and present."""
    absent, present = count = np.zeros((2, bins), np.int64)
    for code, here in coded:
        absent += np.bincount(code, minlength=bins)
        present += np.bincount(code[here], minlength=bins)
    absent -= present
    return count


_DROP = 23 - (OCTAVE.bit_length() - 1)
"""Bits of a float32's fraction that tell two samples of one bin apart."""


def _code(probability: np.ndarray) -> np.ndarray:
    """The bin of p up to 1/2; of 1 - p, which is exact, above, counted from 1. Read from the bits of the float."""
    above = (np.float32(0.5) - probability).view(np.int32)
    above >>= 31  # the sign: all bits set above 1/2, none up to it
    small = np.float32(1) - probability
    np.minimum(probability, small, out=small)
    code = small.view(np.int32)
    code >>= _DROP
    np.maximum(code, above & (HALF - TOP), out=code)  # 1 - p = 0; and -0, which is negative
    code += above & (TOP + 1)
    return code


def _rank(code: np.ndarray) -> np.ndarray:
    """The bin by rising probability: codes up to 1/2 as they are, those from 1 turned round."""
    return np.where(code > HALF, 2 * HALF + 1 + TOP - code, code)


def _starts() -> np.ndarray:
    """The first fine bin of each coarse one."""
    cuts = [  # from 1/2 downwards, octave by octave
        [HALF - OCTAVE * depth - OCTAVE * i // bins for i in range(1, bins + 1)]
        for depth, bins in enumerate(COARSE)
    ]
    below = {1, HALF, *(cut for octave in cuts for cut in octave)}
    ends = {HALF, *(cut for octave in cuts[: TOP // OCTAVE - 1] for cut in octave)}
    return np.array(sorted(below | {2 * HALF + 1 - end for end in ends}))


def _thresholds(fine: np.ndarray) -> np.ndarray:
    """The least float32 in each of these fine bins, as float64."""
    mirrored = np.minimum(fine, 2 * HALF + 1 - fine)
    edge = (mirrored.astype(np.int32) << _DROP).view(np.float32).astype(float)
    least = np.where(fine > HALF, 1 - edge, edge)
    rounded = least.astype(np.float32)  # above 1/2 a bin begins behind its edge
    behind = np.nextafter(rounded, np.float32(2))
    return np.asarray(np.where((fine > HALF) & (rounded <= least), behind, rounded), float)


STARTS = _starts()
BINS = STARTS.size
THRESHOLDS = _thresholds(STARTS)
"""The least probability of each coarse bin."""


def _halfway() -> np.ndarray:
    """How much of a coarse bin is found at the mean of its float32 values: half of many, all of one."""
    values = np.diff(THRESHOLDS.astype(np.float32).view(np.int32), append=0)
    values[[0, -1]] = 1  # what counts as 0, and 1 itself
    return np.asarray((values + 1) / (2 * np.maximum(values, 1)))


HALFWAY = _halfway()
"""By coarse bin, the share of it that stands for all when precision is read there."""


def _found(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples found wrongly, rightly, and the threshold, from the highest down; bins that hold none are passed over."""
    parts = parts[:, :BINS]
    kept = parts.any(axis=0)
    false, true = parts[:, kept][:, ::-1].cumsum(axis=1, dtype=float)
    return false, true, THRESHOLDS[kept][::-1]


def _share(sums: np.ndarray) -> np.ndarray:
    """Running sums over the last of them."""
    return sums / sums[-1] if sums.any() else np.full(sums.shape, np.nan)
