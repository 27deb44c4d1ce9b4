"""Confidence interval of any statistic of grouped cases, by the cluster bootstrap."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np

from delineate.evaluation.stats.group_weights import group_weights, left_out
from delineate.evaluation.stats.interval import Interval

Statistic = Callable[[np.ndarray], np.ndarray]
"""weights (resample, case) -> the statistic of each resample, (resample,)"""

Method = Literal["t", "percentile", "bca"]

ROUNDING = 1e-12
"""Resamples count as equal if the standard deviation of their statistic is less, relative to its size."""


def bootstrap(
    statistic: Statistic,
    groups: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    level: float = 0.95,
    method: Method = "t",
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Interval of a statistic by the cluster bootstrap, which resamples whole groups (patients) and not cases.

    "t" takes the standard error from the resamples and the quantile from Student's t, both corrected for few groups.
    It works on a scale that keeps the interval within `bounds`: the logit for two bounds, the logarithm for one. The
    effective number of groups of m_i cases is G* = (Σ m_i)² / Σ m_i² (Kish, Survey Sampling, 1965; Carter, Schnepel &
    Steigerwald, Rev. Econ. Stat. 2017). The degrees of freedom are G* - 1. The standard error is multiplied by
    √(G* / (G* - 1)) (narrowness bias: Hesterberg, The American Statistician 2015, section 4.1). The interval contains
    the estimate. If all G groups have the same value, the spread is not known. With two bounds the interval then holds
    every mean that is possible if another value has a share of up to 1 - ((1 - level) / 2) ** (1 / G); at a bound this
    is the interval of Clopper & Pearson for G of G groups. Without two bounds it is then NaN.

    "percentile" takes the quantiles of the resampled statistic. "bca" shifts them by bias and acceleration, with the
    jackknife over groups (Efron, JASA 1987; Efron & Tibshirani, 1993, eq. 14.9, 14.14 and 14.15). Both are too narrow
    with fewer than about 40 groups (benchmarks/coverage.py).

    Resamples whose statistic is NaN are left out. Both ends are NaN, since the spread is not known, if there are fewer
    than two groups, or if the statistic is NaN without one of the groups.

    groups: of each case, in the order of the weights of `statistic`.
    bounds: the least and greatest possible value of the statistic. They are ignored if the statistic exceeds them.

    Raises:
        ValueError: a level that is not between 0 and 1, no resamples, or an unknown method.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95.")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; expected at least 1, and 2000 for use.")
    if method not in ("t", "percentile", "bca"):
        raise ValueError(f"method is {method!r}; expected 't', 'percentile' or 'bca'.")
    if len(set(groups)) < 2:
        return Interval()
    drawn = np.concatenate(
        [statistic(w) for w in group_weights(groups, seed=seed, resamples=resamples)]
    )
    known = ~np.isnan(drawn)
    # If the statistic needs one certain group, a quarter or more of the resamples are NaN.
    if not known.all() and np.isnan(_without_each(statistic, groups)).any():
        return Interval()
    drawn = drawn[known]
    if method == "t":
        return _by_t(drawn, _seen(statistic, groups), groups, level, bounds)
    ends = [(1 - level) / 2, (1 + level) / 2]
    if method == "bca":
        ends = _moved(ends, drawn, statistic, groups)
    low, high = np.quantile(drawn, ends)
    return Interval(float(low), float(high))


def _by_t(
    drawn: np.ndarray,
    seen: float,
    groups: Sequence[str],
    level: float,
    bounds: tuple[float, float],
) -> Interval:
    from scipy.special import (
        stdtrit,
    )  # slow to import, and prediction imports this package without needing it

    least, most = bounds
    if not (least <= min(seen, drawn.min()) and max(seen, drawn.max()) <= most):
        least, most = -math.inf, math.inf
    sizes = np.array(list(Counter(groups).values()))
    tail = (1 - level) / 2
    error = float(drawn.std())
    if error <= ROUNDING * max(abs(seen), float(np.abs(drawn).max())):
        if not (math.isfinite(least) and math.isfinite(most)):
            return Interval()
        share = 1 - tail ** (1 / len(sizes))
        return Interval(seen - share * (seen - least), seen + share * (most - seen))
    equal = max(2.0, float(sizes.sum() ** 2 / (sizes**2).sum()))
    reach = float(stdtrit(equal - 1, 1 - tail)) * error * math.sqrt(equal / (equal - 1))
    below, above = seen - least, most - seen
    if below <= 0 or above <= 0:  # the estimate is at a bound, but not every resample is
        return Interval(max(least, seen - reach), min(most, seen + reach))
    if math.isinf(below) and math.isinf(above):
        return Interval(seen - reach, seen + reach)
    if math.isinf(above):
        step = math.exp(min(reach / below, 700.0))
        return Interval(least + below / step, least + below * step)
    if math.isinf(below):
        step = math.exp(min(reach / above, 700.0))
        return Interval(most - above * step, most - above / step)
    step = math.exp(min(reach * (1 / below + 1 / above), 700.0))
    return Interval(
        seen - below * above * (1 - 1 / step) / (below / step + above),
        seen + below * above * (1 - 1 / step) / (below + above / step),
    )


def _seen(statistic: Statistic, groups: Sequence[str]) -> float:
    """The statistic of the original cases."""
    return float(statistic(np.ones((1, len(groups))))[0])


def _moved(
    ends: list[float], drawn: np.ndarray, statistic: Statistic, groups: Sequence[str]
) -> list[float]:
    """The quantiles after the correction for bias and acceleration."""
    normal = NormalDist()
    seen = _seen(statistic, groups)
    below = ((drawn < seen).mean() + (drawn <= seen).mean()) / 2
    half = 0.5 / len(drawn)  # keeps the bias finite if all resamples are on one side
    bias = normal.inv_cdf(float(np.clip(below, half, 1 - half)))
    without = _without_each(statistic, groups)
    without = without[~np.isnan(without)]
    apart = without.mean() - without if without.size else np.zeros(1)
    spread = float((apart**2).sum())
    # Normalised first, so that the third power of small values does not underflow.
    apart = apart / np.sqrt(spread) if spread > 0 else np.zeros(1)
    acceleration = float((apart**3).sum()) / 6
    moved = []
    for end in ends:
        z = bias + normal.inv_cdf(end)
        moved.append(normal.cdf(bias + z / max(1 - acceleration * z, 1e-9)))
    return moved


def _without_each(statistic: Statistic, groups: Sequence[str]) -> np.ndarray:
    """The statistic with each group left out in turn: (group,)."""
    return np.concatenate([statistic(weights) for weights in left_out(groups)])
