"""Area under the ROC curve of histograms summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._probability_histogram import BINS
from delineate.evaluation.metrics._ranks import Ranks, ranks
from delineate.evaluation.metrics._tally import added


def auroc(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Chance that a sample of the label has the higher probability, draws halved (Mann-Whitney).

    Parts are (2, bin), absent and present, by rising probability; what shares a bin is a draw. Few absent or few
    present samples are ranked one by one, where the parts have points behind the `BINS` coarse bins. NaN where
    either is missing.
    """
    for few in (1, 0):
        if (known := ranks(parts, BINS, few)) is not None:
            return _one_by_one(known, weights, few)
    bins = [part[:, :BINS] for part in parts]
    absent, present = np.moveaxis(added(bins, weights), 1, 0)
    return area(absent, present)


def area(absent: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Of histograms (resample, bin) by rising probability: the share of pairs that are in order, draws halved."""
    below = absent.cumsum(axis=1) - absent / 2
    pairs = absent.sum(axis=1) * present.sum(axis=1)
    won = (present * below).sum(axis=1)
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs != 0))


def _one_by_one(known: Ranks, weights: np.ndarray, few: int) -> np.ndarray:
    times = weights[:, known.case] * known.times
    below = weights @ ((known.below + known.upto) / 2)
    pairs = times.sum(axis=1) * (weights @ known.others)
    won = (times * below).sum(axis=1)
    won = won if few else pairs - won
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs != 0))
