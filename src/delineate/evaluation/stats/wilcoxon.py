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
    known = _scaled(differences)
    if not known.size:
        return math.nan
    known = known[known != 0]
    if not known.size:
        return 1.0
    from scipy import stats  # half a second, and predicting loads this package but needs none

    ranks = stats.rankdata(np.abs(known))
    ties = len(np.unique(ranks)) < len(ranks)
    if ties and len(ranks) <= SIGNS:
        return _by_all_signs(ranks, known > 0)
    exact = not ties and len(ranks) <= 50
    return float(stats.wilcoxon(known, method="exact" if exact else "asymptotic").pvalue)


def signed_rank_sum(differences: Sequence[float] | np.ndarray) -> float:
    """To which side that p speaks: ranks of the positive differences less those of the negative; 0 of nothing.

    It need not be the side of their mean: many small differences outrank few large ones.

    >>> signed_rank_sum([0.01, 0.02, 0.03, -0.5])
    2.0
    """
    known = _scaled(differences)
    known = known[known != 0]
    from scipy import stats

    return float(np.sign(known) @ stats.rankdata(np.abs(known)))


def _scaled(differences: Sequence[float] | np.ndarray) -> np.ndarray:
    """The known differences, the largest at 1: what differs by rounding only (0.3 - 0.2 and 0.2 - 0.1) is a tie."""
    known = np.asarray(differences, dtype=np.float64)
    known = known[~np.isnan(known)]
    largest = np.abs(known).max(initial=0.0)
    return known if largest == 0 else np.round(known / largest, 12)


def _by_all_signs(ranks: np.ndarray, positive: np.ndarray) -> float:
    """How often a sum of ranks is as far from the middle, over every way in which the signs could have fallen."""
    signs = np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks)) & 1
    sums = np.abs(signs @ ranks - ranks.sum() / 2)
    return float((sums >= sums[int(positive @ (1 << np.arange(len(ranks))))]).mean())
