"""Whether paired differences lie to one side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SIGNS = 13
"""Differences of which every combination of signs is tried: 8,192 sums."""


def wilcoxon(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon, Biometrics Bulletin 1945) of independent differences.

    Differences of zero are left out, as Wilcoxon did: they speak for neither side; if all are zero, p is 1. NaN
    is left out too, and p is NaN of nothing. Exact up to 50 differences, or 13 where some are of one size;
    beyond that by the normal approximation, corrected for ties.
    """
    known = np.asarray(differences, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return math.nan
    largest = np.abs(known).max()
    if largest == 0:
        return 1.0
    # Ranks do not depend on scale; what differs by rounding only (0.3 - 0.2 and 0.2 - 0.1) is a tie.
    known = np.round(known / largest, 12)
    known = known[known != 0]
    from scipy import stats  # half a second, and predicting loads this package but needs none

    ranks = stats.rankdata(np.abs(known))
    ties = len(np.unique(ranks)) < len(ranks)
    if ties and len(ranks) <= SIGNS:
        return _by_all_signs(ranks, known > 0)
    exact = not ties and len(ranks) <= 50
    return float(stats.wilcoxon(known, method="exact" if exact else "asymptotic").pvalue)


def _by_all_signs(ranks: np.ndarray, positive: np.ndarray) -> float:
    """How often a sum of ranks is as far from the middle, over every way in which the signs could have fallen."""
    signs = np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks)) & 1
    sums = np.abs(signs @ ranks - ranks.sum() / 2)
    return float((sums >= sums[int(positive @ (1 << np.arange(len(ranks))))]).mean())
