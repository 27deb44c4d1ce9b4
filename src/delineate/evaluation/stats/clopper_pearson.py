"""Exact interval of a rate."""

from __future__ import annotations

from delineate.evaluation.stats.interval import Interval


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Exact interval of the rate of `successes` in independent `trials` (Clopper & Pearson, 1934); NaN for no trials.

    Raises:
        ValueError: successes are not between 0 and trials, or the level is not between 0 and 1.

    >>> low, high = clopper_pearson(0, 59)
    >>> low, round(high, 4)
    (0.0, 0.0606)
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials; expected 0 to {trials}.")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; expected a share between 0 and 1, such as 0.95.")
    if trials == 0:
        return Interval()
    from scipy.stats import (
        beta,
    )  # slow to import, and prediction imports this package without needing it

    tail = (1 - level) / 2
    k, n = successes, trials
    return Interval(
        float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0,
        float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0,
    )
