"""Average precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, Tally, added, traits
from delineate.metrics._probability_histogram import BINS, HALFWAY, histograms
from delineate.metrics._ranks import Ranks, ranks

if TYPE_CHECKING:
    from delineate.core import Segmentation


def _pooled(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean precision over the samples of the label; within a bin, the precision at its middle counts for all.

    Parts are (2, bin), absent and present, by rising probability. The order of samples within a bin is unknown. A bin
    with a single probability is a tie, and counts with its end. If the label has few samples, and the parts have points
    after the `BINS` coarse bins, they are ranked exactly. NaN if the label is missing.
    """
    if (known := ranks(parts, BINS, 1)) is not None:
        return _one_by_one(known, weights)
    bins = [part[:, :BINS] for part in parts]
    absent, present = np.moveaxis(added(bins, weights)[..., ::-1], 1, 0)
    left = 1 - HALFWAY[::-1]
    true = present.cumsum(axis=1) - left * present
    false = absent.cumsum(axis=1) - left * absent
    positive = true + false
    precision = np.divide(true, positive, out=np.zeros_like(true), where=positive != 0)
    total = present.sum(axis=1)
    summed = (precision * present).sum(axis=1)
    return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=total != 0))


@traits(
    title="Average precision",
    meaning="Precision averaged over all levels of recall, as the threshold is lowered.",
    family="ranking",
    needs=frozenset({"classes", "probabilities"}),
    place=190,
    curve="precision-recall",
    pooled=_pooled,
    empty=Empty(
        truth=None,
        prediction="scored",
        both=None,
        note="pooled over cases, what was predicted there counts",
    ),
)
def average_precision(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Area under the steps of the precision-recall curve of a label's own probability, per label.

    Σ (R_n - R_n-1) P_n over falling thresholds, without interpolation, as in scikit-learn. NaN if the label is not in
    the truth. Exact up to 2**18 samples, above that within about 1e-4 of a full sort. Its tally contains coarser bins,
    for pooling and for `precision_recall_curve`; up to 768 samples of the label in all cases are ranked exactly.
    Pooled, it is within about 1e-3 of a full sort.
    """
    return {
        name: Tally.of(_steps(histogram.fine), "average_precision", histogram.parts)
        for name, histogram in histograms(prediction, truth).items()
    }


def _steps(fine: np.ndarray) -> float:
    """Mean precision at the samples of the label; a bin counts with its end."""
    false, true = fine[:, ::-1].cumsum(axis=1)
    if not true.any():
        return math.nan
    return float(np.diff(true, prepend=0) @ (true / (true + false)) / true[-1])


def _one_by_one(known: Ranks, weights: np.ndarray) -> np.ndarray:
    times = weights[:, known.case] * known.times
    first = np.searchsorted(known.value, known.value)  # equal values are one threshold
    true = times[:, ::-1].cumsum(axis=1)[:, ::-1][:, first]
    positive = true + weights @ (known.others[:, None] - known.below)
    precision = np.divide(true, positive, out=np.zeros_like(true), where=true > 0)
    total = times.sum(axis=1)
    summed = (precision * times).sum(axis=1)
    return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=total != 0))
