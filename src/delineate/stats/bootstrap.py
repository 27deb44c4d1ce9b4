"""Interval of any statistic of cases that come in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np

from delineate.stats.group_weights import group_weights, left_out
from delineate.stats.interval import Interval

Statistic = Callable[[np.ndarray], np.ndarray]
"""weights (resample, case) -> the statistic of each resample, (resample,)"""

Method = Literal["percentile", "bca"]


def bootstrap(
    statistic: Statistic,
    groups: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
    method: Method = "percentile",
) -> Interval:
    """Interval of a statistic by the cluster bootstrap: whole groups (patients) are drawn, not cases.

    "percentile" takes the quantiles of what the resamples give; "bca" moves them by bias and acceleration, the latter
    by the jackknife over groups (Efron, JASA 1987; Efron & Tibshirani, 1993, eq. 14.9, 14.14 and 14.15).
    Resamples whose statistic is NaN are left out. With fewer than two groups, or where without one of them there
    is no answer, nothing is known of the spread, and both ends are NaN.

    groups: of each case, in the order of the weights that `statistic` is given.

    Raises:
        ValueError: a level that is not between 0 and 1, no resamples, or another method.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95.")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1, and 2000 for use.")
    if method not in ("percentile", "bca"):
        raise ValueError(f"method is {method!r}; expected 'percentile' or 'bca'.")
    if len(set(groups)) < 2:
        return Interval()
    drawn = np.concatenate(
        [statistic(w) for w in group_weights(groups, seed=seed, resamples=resamples)]
    )
    known = ~np.isnan(drawn)
    # Of what hangs on one group, a quarter of the resamples or more knows nothing.
    if not known.all() and np.isnan(_without_each(statistic, groups)).any():
        return Interval()
    drawn = drawn[known]
    ends = [(1 - level) / 2, (1 + level) / 2]
    if method == "bca":
        ends = _moved(ends, drawn, statistic, groups)
    low, high = np.quantile(drawn, ends)
    return Interval(float(low), float(high))


def _moved(
    ends: list[float], drawn: np.ndarray, statistic: Statistic, groups: Sequence[str]
) -> list[float]:
    """The quantiles to take instead, for bias and acceleration."""
    normal = NormalDist()
    seen = float(statistic(np.ones((1, len(groups))))[0])
    below = ((drawn < seen).mean() + (drawn <= seen).mean()) / 2
    half = 0.5 / len(drawn)  # all resamples on one side say that much, not an infinite bias
    bias = normal.inv_cdf(float(np.clip(below, half, 1 - half)))
    without = _without_each(statistic, groups)
    without = without[~np.isnan(without)]
    apart = without.mean() - without if without.size else np.zeros(1)
    spread = float((apart**2).sum())
    # The scale is taken out first, so that no power of a small one is rounded to nothing.
    apart = apart / np.sqrt(spread) if spread > 0 else np.zeros(1)
    acceleration = float((apart**3).sum()) / 6
    moved = []
    for end in ends:
        z = bias + normal.inv_cdf(end)
        moved.append(normal.cdf(bias + z / max(1 - acceleration * z, 1e-9)))
    return moved


def _without_each(statistic: Statistic, groups: Sequence[str]) -> np.ndarray:
    """The statistic with one group after the other left out: (group,)."""
    return np.concatenate([statistic(weights) for weights in left_out(groups)])
