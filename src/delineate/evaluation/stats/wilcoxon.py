"""Wilcoxon's signed-rank test of paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SIGNS = 13
"""Up to so many differences with ties, every combination of signs is computed: 8,192 sums."""


def wilcoxon(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon, Biometrics Bulletin 1945) of independent differences.

    Differences of zero are left out, as Wilcoxon did; if all are zero, p is 1. NaN is left out too; without any
    difference p is NaN. The test is exact up to 50 differences, or up to 13 with ties. Beyond that it uses the normal
    approximation, corrected for ties.
    """
    known = _scaled(differences)
    if not known.size:
        return math.nan
    known = known[known != 0]
    if not known.size:
        return 1.0
    from scipy import (
        stats,
    )  # slow to import, and prediction imports this package without needing it

    ranks = stats.rankdata(np.abs(known))
    ties = len(np.unique(ranks)) < len(ranks)
    if ties and len(ranks) <= SIGNS:
        return _by_all_signs(ranks, known > 0)
    exact = not ties and len(ranks) <= 50
    return float(stats.wilcoxon(known, method="exact" if exact else "asymptotic").pvalue)


def signed_rank_sum(differences: Sequence[float] | np.ndarray) -> float:
    """The direction of the test: ranks of the positive differences minus ranks of the negative ones; 0 if none.

    Its sign may differ from that of the mean: many small differences can outrank few large ones.

    >>> signed_rank_sum([0.01, 0.02, 0.03, -0.5])
    2.0
    """
    known = _scaled(differences)
    known = known[known != 0]
    from scipy import stats

    return float(np.sign(known) @ stats.rankdata(np.abs(known)))


def _scaled(differences: Sequence[float] | np.ndarray) -> np.ndarray:
    """The differences without NaN, scaled so that the largest is 1, and rounded: 0.3 - 0.2 and 0.2 - 0.1 are a tie."""
    known = np.asarray(differences, dtype=np.float64)
    known = known[~np.isnan(known)]
    largest = np.abs(known).max(initial=0.0)
    return known if largest == 0 else np.round(known / largest, 12)


def _by_all_signs(ranks: np.ndarray, positive: np.ndarray) -> float:
    """The share of all combinations of signs whose rank sum is at least as far from the middle."""
    signs = np.arange(2 ** len(ranks))[:, None] >> np.arange(len(ranks)) & 1
    sums = np.abs(signs @ ranks - ranks.sum() / 2)
    return float((sums >= sums[int(positive @ (1 << np.arange(len(ranks))))]).mean())
