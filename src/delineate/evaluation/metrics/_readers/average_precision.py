"""Average precision of histograms summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._probability_histogram import BINS, HALFWAY
from delineate.evaluation.metrics._ranks import Ranks, ranks
from delineate.evaluation.metrics._tally import added


def average_precision(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean of the precision at the samples of the label, with those of one bin halfway through it.

    Parts are (2, bin), absent and present, by rising probability. A bin holds many probabilities, so its samples
    come in any order and the precision halfway stands for them all; where it holds but one they are a draw, and
    count with the end. Few samples of the label are ranked one by one, where the parts have points behind the `BINS`
    coarse bins. NaN where the label is missing.
    """
    if (known := ranks(parts, BINS, 1)) is not None:
        return _one_by_one(known, weights)
    bins = [part[:, :BINS] for part in parts]
    absent, present = np.moveaxis(added(bins, weights)[..., ::-1], 1, 0)
    left = 1 - HALFWAY[::-1]
    true = present.cumsum(axis=1) - left * present
    false = absent.cumsum(axis=1) - left * absent
    found = true + false
    precision = np.divide(true, found, out=np.zeros_like(true), where=found != 0)
    total = present.sum(axis=1)
    summed = (precision * present).sum(axis=1)
    return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=total != 0))


def _one_by_one(known: Ranks, weights: np.ndarray) -> np.ndarray:
    times = weights[:, known.case] * known.times
    first = np.searchsorted(known.value, known.value)  # equal values are one threshold
    true = times[:, ::-1].cumsum(axis=1)[:, ::-1][:, first]
    found = true + weights @ (known.others[:, None] - known.below)
    precision = np.divide(true, found, out=np.zeros_like(true), where=true > 0)
    total = times.sum(axis=1)
    summed = (precision * times).sum(axis=1)
    return np.asarray(np.divide(summed, total, out=np.full(len(total), np.nan), where=total != 0))
