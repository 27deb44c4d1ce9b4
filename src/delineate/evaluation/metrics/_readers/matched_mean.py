"""A mean over matches, 0 where there was something to match but nothing did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._tally import added


def matched_mean(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Sum over matches, matches, and what did not match: their mean; NaN where there is none of either."""
    total, matched, unmatched = np.moveaxis(added(parts, weights), -1, 0)
    worst = np.where(unmatched > 0, 0.0, np.nan)
    return np.asarray(np.divide(total, matched, out=worst, where=matched != 0))
