"""Histograms of a label's probability, for samples with and without the label.

The output of a trained network is nearly always so close to 0 or 1 that most samples would fall into the first and the
last of bins of equal width, an error of 1e-4 of AUROC and more. So bins are logarithmic, like floating point: a fixed
number per octave of p below one half, and of 1 - p above it.
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
"""Fine bins per octave, a power of two."""

HALF = 126 * OCTAVE
"""The fine bin that contains only p = 1/2; below it is every octave of a float32."""

TOP = 24 * OCTAVE
"""Fine bins above 1/2, where 1 - p is 0 or at least 2**-24; the last contains only 1."""

COARSE = (64, 32, *[16] * 22, *[4] * 102)
"""Coarse bins per octave, from 1/2 downwards, kept for pooling: 10 kB per case and label, and 18 kB of points."""

EXACT = 2**18
"""Up to this number of samples, every probability has its own bin: an ordinary photograph is not rounded."""


class Histogram(NamedTuple):
    """Number of samples by rising probability, (2, bin): without the label, and with it.

    fine: the fine bins that are not empty.
    coarse: uint32; a bin starts at its threshold in `THRESHOLDS`. 0, 1/2 and 1 have bins of their own.
    points: uint32; some of the values, from `_ranks.points`.
    """

    fine: np.ndarray
    coarse: np.ndarray
    points: np.ndarray

    @property
    def parts(self) -> np.ndarray:
        """The parts of a tally: coarse bins, then points."""
        return np.concatenate([self.coarse, self.points], axis=1)


class RocCurve(NamedTuple):
    """Points of a ROC curve, from the highest threshold to the lowest."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    threshold: np.ndarray


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, from the highest threshold to the lowest."""

    recall: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray


def roc_curve(parts: np.ndarray) -> RocCurve:
    """The ROC curve of the parts of an AUROC tally, of one case or summed over cases.

    A sample is positive if it reaches the threshold (>=); the first threshold is inf. NaN if truth or background is
    empty.
    """
    false, true, threshold = _positives(parts)
    return RocCurve(
        _share(np.concatenate(([0.0], false))),
        _share(np.concatenate(([0.0], true))),
        np.concatenate(([np.inf], threshold)),
    )


def precision_recall_curve(parts: np.ndarray) -> PrecisionRecallCurve:
    """The precision-recall curve of the parts of an average precision tally, of one case or summed over cases.

    A sample is positive if it reaches the threshold (>=). The recall is NaN if the truth is empty.
    """
    false, true, threshold = _positives(parts)
    return PrecisionRecallCurve(_share(true), true / (true + false), threshold)


@remembered  # auroc and average_precision share it
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
"""Bits of a float32's fraction below the resolution of a fine bin."""


def _code(probability: np.ndarray) -> np.ndarray:
    """The bin of p up to 1/2, and above it that of 1 - p (which is exact), counted from 1. Uses the float's bits."""
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
    """The bin by rising probability: codes up to 1/2 do not change, the others are reversed."""
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
    rounded = least.astype(np.float32)  # above 1/2 a bin does not include its lower edge
    behind = np.nextafter(rounded, np.float32(2))
    return np.asarray(np.where((fine > HALF) & (rounded <= least), behind, rounded), float)


STARTS = _starts()
BINS = STARTS.size
THRESHOLDS = _thresholds(STARTS)
"""The least probability of each coarse bin."""


def _halfway() -> np.ndarray:
    """The share of a coarse bin at or above the mean of its float32 values: half of many, all of one."""
    values = np.diff(THRESHOLDS.astype(np.float32).view(np.int32), append=0)
    values[[0, -1]] = 1  # the bins of 0 and of 1
    return np.asarray((values + 1) / (2 * np.maximum(values, 1)))


HALFWAY = _halfway()
"""The share of each coarse bin that counts as positive when the precision of the bin is computed."""


def _positives(parts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positives, true positives and thresholds, from the highest down; empty bins are skipped."""
    parts = parts[:, :BINS]
    kept = parts.any(axis=0)
    false, true = parts[:, kept][:, ::-1].cumsum(axis=1, dtype=float)
    return false, true, THRESHOLDS[kept][::-1]


def _share(sums: np.ndarray) -> np.ndarray:
    """Running sums divided by the last one."""
    return sums / sums[-1] if sums.any() else np.full(sums.shape, np.nan)
