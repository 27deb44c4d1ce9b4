"""How often a 95 % interval holds the truth, by the number of groups: simulated tables of Dice in few patients.

Patients differ (beta, mean 0.86), one in twenty is hard (beta, mean 0.4), cases of a patient scatter around their
patient (beta), one case in 25 is a 0. A patient has 1 to 20 cases (log-normal), a case a size (log-normal) by which the
pooled score weighs it. Beside them, each alike in its groups: a paired difference, a pooled lesion recall of 0.9, and a
distance with a long tail. For each statistic: "t", which tables give, the two quantile methods of the bootstrap
("percentile" was given before), and for lesions the interval of Clopper and Pearson, which takes them as independent.
A line gives the share of tables whose interval holds the truth, and the median width over 3.92 standard deviations of
the statistic itself.

Seeded; about a minute at one core. `python benchmarks/coverage.py 100` makes 100 tables of each number of groups.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from delineate.evaluation.stats import Interval, bootstrap, clopper_pearson, weighted_mean
from delineate.metrics import Tally, pool_weighted

GROUPS = (3, 5, 8, 20, 60)
TIMES, RESAMPLES = 1000, 1000
EASY, HARD, NOTHING = 6 / 7, 0.4, 0.04
"""Mean Dice of an ordinary and of a hard patient, and the share of cases with a Dice of 0."""

Sample = tuple[Callable[[np.ndarray], np.ndarray], list[str], tuple[float, float]]
"""A statistic, the group of each case, the bounds of the statistic."""


def main(times: int = TIMES) -> dict[str, float]:
    prediction = {}
    print(f"{'':18}{'method':17}" + "".join(f"{g:>7} groups" for g in GROUPS))
    for name, (simulate, truth) in SIMULATED.items():
        lines: dict[str, list[str]] = {}
        for groups in GROUPS:
            for method, (covered, width) in coverage(simulate, truth, groups, times).items():
                prediction[f"{name}, {method}, {groups}"] = covered
                lines.setdefault(method, []).append(f"{covered:8.3f} {width:5.2f}")
        for method, cells in lines.items():
            print(f"{name:18}{method:17}" + "".join(cells), flush=True)
    return prediction


def coverage(
    simulate: Callable[[np.random.Generator, int], Sample], truth: float, groups: int, times: int
) -> dict[str, tuple[float, float]]:
    """By method: how often the interval holds the truth, and how wide it is beside that of a known spread."""
    rng = np.random.default_rng(groups)
    intervals: dict[str, list[Interval]] = {}
    seen = []
    for _ in range(times):
        statistic, members, bounds = simulate(rng, groups)
        seen.append(float(statistic(np.ones((1, len(members))))[0]))
        for method in ("t", "percentile", "bca"):
            intervals.setdefault(method, []).append(
                bootstrap(statistic, members, method=method, bounds=bounds, resamples=RESAMPLES)
            )
        if simulate is lesions:
            hits, trials = sum(t.parts for t in statistic.args[0])
            intervals.setdefault("clopper-pearson", []).append(clopper_pearson(hits, trials))
    spread = 3.92 * float(np.std(seen))
    return {
        method: (
            float(np.mean([truth in one for one in of])),
            float(np.median([one.high - one.low for one in of])) / spread,
        )
        for method, of in intervals.items()
    }


def _patients(rng: np.random.Generator, groups: int) -> np.ndarray:
    """The group of each case: as many cases in each as a log-normal gives, 1 to 20."""
    sizes = np.clip(np.round(rng.lognormal(1.0, 0.9, groups)), 1, 20).astype(int)
    return np.repeat(np.arange(groups), sizes)


def _names(member: np.ndarray) -> list[str]:
    return [f"p{i:03}" for i in member]


def _dice(rng: np.random.Generator, member: np.ndarray) -> np.ndarray:
    groups = int(member[-1]) + 1
    easy, hard = rng.beta(6, 1, groups), rng.beta(2, 3, groups)
    mean = np.where(rng.random(groups) < 0.05, hard, easy)[member]
    dice = rng.beta(12 * mean, 12 * (1 - mean) + 1e-9)
    return np.where(rng.random(len(member)) < NOTHING, 0.0, dice)


def dice_mean(rng: np.random.Generator, groups: int) -> Sample:
    member = _patients(rng, groups)
    return partial(weighted_mean, _dice(rng, member)), _names(member), (0, 1)


def dice_pooled(rng: np.random.Generator, groups: int) -> Sample:
    member = _patients(rng, groups)
    size = rng.lognormal(0, 1, len(member))
    parts = np.stack([_dice(rng, member) * size, size], axis=1)
    tallies = [Tally.of(part / whole, "ratio", np.array([part, whole])) for part, whole in parts]
    return partial(pool_weighted, tallies), _names(member), (0, 1)


def dice_difference(rng: np.random.Generator, groups: int) -> Sample:
    """A gain of 0.02 that differs by patient and case, and is 0.2 less in one patient of ten."""
    member = _patients(rng, groups)
    gain = rng.normal(0.04, 0.03, groups) - 0.2 * (rng.random(groups) < 0.1)
    return partial(weighted_mean, gain[member] + rng.normal(0, 0.05, len(member))), _names(member), (-1, 1)  # fmt: skip


def lesions(rng: np.random.Generator, groups: int) -> Sample:
    """A patient's lesions are one case; they are detected together or missed together, more or less."""
    sizes = np.bincount(_patients(rng, groups))
    hits = rng.binomial(sizes, rng.beta(3.6, 0.4, groups))
    tallies = [Tally.of(h / n, "ratio", np.array([h, n])) for h, n in zip(hits, sizes, strict=True)]
    return partial(pool_weighted, tallies), _names(np.arange(groups)), (0, 1)


def distance_mean(rng: np.random.Generator, groups: int) -> Sample:
    member = _patients(rng, groups)
    typical = rng.lognormal(1, 0.6, groups)
    values = typical[member] * rng.lognormal(0, 0.6, len(member))
    return partial(weighted_mean, values), _names(member), (0, math.inf)


DICE = (0.95 * EASY + 0.05 * HARD) * (1 - NOTHING)
SIMULATED: dict[str, tuple[Callable[[np.random.Generator, int], Sample], float]] = {
    "mean Dice": (dice_mean, DICE),
    "pooled Dice": (dice_pooled, DICE),
    "difference": (dice_difference, 0.02),
    "lesion recall": (lesions, 0.9),
    "mean distance": (distance_mean, math.exp(1 + 0.18 + 0.18)),
}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
