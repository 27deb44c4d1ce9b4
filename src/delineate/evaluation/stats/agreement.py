"""Agreement of two measurements of the same thing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from delineate.evaluation.stats.bootstrap import Method, bootstrap
from delineate.evaluation.stats.interval import Interval
from delineate.evaluation.stats.weighted_mean import weighted_mean

Z = 1.959964
"""The share of a normal distribution within this many standard deviations of the mean is 95 %."""


@dataclass(frozen=True)
class Agreement:
    """The differences between measurements and their reference, in the unit of the measurements.

    difference: mean of measurement - reference; NaN for no case.
    interval: 95 % interval of the mean difference.
    limits: 95 % limits of agreement, between which most single differences lie; NaN for fewer than two cases.
    """

    difference: float
    interval: Interval
    limits: Interval


def agreement(
    measured: np.ndarray,
    reference: np.ndarray,
    groups: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = 2000,
    method: Method = "t",
) -> Agreement:
    """Mean difference and limits of agreement (Bland & Altman, Lancet 1986): mean ± 1.96 standard deviations.

    The interval of the mean resamples whole groups, see `bootstrap`. The limits treat the cases as independent.

    >>> found = agreement(np.array([1.0, 3.0, 5.0]), np.array([1.0, 2.0, 3.0]), ["a", "b", "c"])
    >>> found.difference, round(found.limits.low, 2), round(found.limits.high, 2)
    (1.0, -0.96, 2.96)
    """
    differences = np.asarray(measured, float) - np.asarray(reference, float)
    if not differences.size:
        return Agreement(math.nan, Interval(), Interval())
    mean = float(differences.mean())
    interval = bootstrap(
        partial(weighted_mean, differences), groups, seed=seed, resamples=resamples, method=method
    )
    if differences.size < 2:
        return Agreement(mean, interval, Interval())
    spread = Z * float(differences.std(ddof=1))
    return Agreement(mean, interval, Interval(mean - spread, mean + spread))
