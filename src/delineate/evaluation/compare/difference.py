"""The difference of one score between two tables of the same cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from delineate.evaluation.stats import Interval, signed_rank_sum, weighted_mean, wilcoxon
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally, Traits, pool_weighted

SURE = 0.05
"""Significance level: a difference is shown if p after Holm's correction is below it, for the same side, and 0 is
outside the interval."""

TIE = 1e-9
"""Scores that differ by less are equal."""

Draw = Callable[..., Interval]
"""(statistic of weighted cases, group of each case, `bounds` of the statistic) -> the interval."""


@dataclass(frozen=True)
class Difference:
    """The difference of one score of one label between two tables, over the cases that have it in both.

    A difference is always `name` minus `against`. Signed errors are compared by their absolute value. If the truth of
    a case is empty, a correct empty prediction has no score. If the other prediction is not empty, the empty one gets
    the best possible score: leaving out such cases would hide false positives. Cases in which neither has a score are
    left out.

    scores: means over the cases, of `against` and of `name`.
    credited: number of cases in which `against` or `name` gets the best score for a correct empty prediction.
    mean, interval: of the differences of the cases; NaN for a metric with pooled scores only.
    pooled_scores, pooled, pooled_interval: of all cases together; NaN if scores cannot be pooled, and for a subgroup.
    p: of Wilcoxon's test over the mean differences of the groups; p_holm: corrected for all tests. NaN for a subgroup
        and for a metric with pooled scores only, which are not tested.
    rank_sum: the signed-rank sum of the test, above 0 if `name` has the higher scores.
    wins, ties, losses: cases in which `name` is better, equal, worse.
    lower_is_better: of this score.
    subgroup: the subgroup of the cases, as (column, value); None for all cases.
    """

    label: str
    metric: str
    against: str
    name: str
    cases: int
    groups: int
    scores: tuple[float, float]
    credited: tuple[int, int]
    mean: float
    interval: Interval
    pooled_scores: tuple[float, float]
    pooled: float
    pooled_interval: Interval
    p: float
    wins: int
    ties: int
    losses: int
    lower_is_better: bool
    p_holm: float = math.nan
    rank_sum: float = math.nan
    subgroup: tuple[str, str] | None = None

    @property
    def leading(self) -> tuple[float, Interval]:
        """The main difference and its interval: that of the means, or the pooled one if there is no mean."""
        if self.mean == self.mean:
            return self.mean, self.interval
        return self.pooled, self.pooled_interval

    @property
    def better(self) -> str:
        """The name with the better score, however small the difference; "" if they are equal or not known."""
        gain = -self.leading[0] if self.lower_is_better else self.leading[0]
        if not abs(gain) > TIE:
            return ""
        return self.name if gain > 0 else self.against

    @property
    def shown(self) -> bool:
        """Whether the difference is significant: 0 is outside its interval, p_holm < 0.05, and both have the same sign.

        Without a test it is false. With many small gains and few large losses, the test can favour one and the mean
        the other; then neither is shown to be better.
        """
        apart, interval = self.leading
        sure = interval.known and 0.0 not in interval and self.p_holm < SURE
        return sure and self.rank_sum * apart > 0

    def as_json(self) -> dict[str, Any]:
        """All fields, ready for JSON; NaN is None."""
        known: dict[str, Any] = (
            {}
            if self.subgroup is None
            else dict(zip(("column", "value"), self.subgroup, strict=True))
        )
        for field in ("label", "metric", "against", "name", "cases", "groups", "better", "shown"):
            known[field] = getattr(self, field)
        for over, scores, apart, interval in (
            ("mean", self.scores, self.mean, self.interval),
            ("pooled", self.pooled_scores, self.pooled, self.pooled_interval),
        ):
            known[over] = {
                "against": _plain(scores[0]),
                "name": _plain(scores[1]),
                "difference": _plain(apart),
                "interval": [_plain(end) for end in interval],
            }
        known["credited"] = dict(zip(("against", "name"), self.credited, strict=True))
        if self.subgroup is None:
            known |= {"p": _plain(self.p), "p_holm": _plain(self.p_holm)}
        return known | {"wins": self.wins, "ties": self.ties, "losses": self.losses}


def difference(
    both: Sequence[Both], traits: Traits, draw: Draw, *, whole: bool, **what: Any
) -> Difference:
    """The difference over these cases.

    whole: these are all cases, so that the test and the pooled scores are computed too.
    what: label, metric, against, name and subgroup, as `Difference` has them.
    """
    lower = traits.lower_is_better or traits.signed
    scored = [] if traits.pooled_only else paired(both, traits)
    counted = both if traits.pooled_only else [of for of, _ in scored]
    groups = [of.group for of, _ in scored]
    against, name = np.array([scores for _, scores in scored], np.float64).reshape(-1, 2).T
    apart = name - against
    gains = -apart if lower else apart
    by_group = _by_group(apart, groups)
    pooled_scores, pooled_interval = _pooled(both if whole else [], traits, draw)
    return Difference(
        **what,
        cases=len(counted),
        groups=len({of.group for of in counted}),
        scores=(_mean(against), _mean(name)),
        credited=_credited(scored),
        mean=_mean(apart),
        interval=draw(partial(weighted_mean, apart), groups, bounds=_bounds(traits)),
        pooled_scores=pooled_scores,
        pooled=pooled_scores[1] - pooled_scores[0],
        pooled_interval=pooled_interval,
        p=wilcoxon(by_group) if whole else math.nan,
        rank_sum=signed_rank_sum(by_group) if whole else math.nan,
        wins=int((gains > TIE).sum()),
        ties=int((np.abs(gains) <= TIE).sum()),
        losses=int((gains < -TIE).sum()),
        lower_is_better=lower,
    )


def _pooled(
    both: Sequence[Both], traits: Traits, draw: Draw
) -> tuple[tuple[float, float], Interval]:
    """The pooled scores of both, and the interval of their difference."""
    sides = [[of.scores[i] for of in both] for i in (0, 1)]
    tallies = [[score for score in side if isinstance(score, Tally)] for side in sides]
    if not both or any(len(of) < len(both) for of in tallies):
        return (math.nan, math.nan), Interval()
    # A group with nothing to pool holds no information on the spread, and is not counted.
    filled = [any(of.parts.any() for of in pair) for pair in zip(*tallies, strict=True)]
    both = [of for of, f in zip(both, filled, strict=True) if f]
    tallies = [[score for score, f in zip(of, filled, strict=True) if f] for of in tallies]

    def pooled(weights: np.ndarray) -> list[np.ndarray]:
        scores = [pool_weighted(of, weights) for of in tallies]
        return [np.abs(of) for of in scores] if traits.signed else scores

    def apart(weights: np.ndarray) -> np.ndarray:
        against, name = pooled(weights)
        return np.asarray(name - against)

    against, name = (float(of[0]) for of in pooled(np.ones((1, len(both)))))
    return (against, name), draw(apart, [of.group for of in both], bounds=_bounds(traits))


def _bounds(traits: Traits) -> tuple[float, float]:
    """The bounds of a difference; infinite for lengths and for the size of signed errors."""
    least, most = traits.bounds
    return least - most, most - least


def _by_group(values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """The mean of each group."""
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.bincount(member, values, minlength=len(names))
    return np.asarray(sums / np.bincount(member, minlength=len(names)))


def _credited(scored: Sequence[tuple[Both, tuple[float, float]]]) -> tuple[int, int]:
    against, name = (sum(of.scores[i] != of.scores[i] for of, _ in scored) for i in (0, 1))
    return against, name


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _plain(value: float) -> float | None:
    return value if value == value else None


class Both(NamedTuple):
    """A case and its two scores (against, name); each may be NaN.

    both_empty: for each of the two, whether prediction and truth are empty.
    """

    case: str
    group: str
    scores: tuple[float, float]
    both_empty: tuple[bool, bool]


def both_scores(against: Table, name: Table, label: str, metric: str) -> list[Both]:
    """The cases that have such a score in both tables, in the order of the first."""
    others = {row.case: (row, score) for row, score in name.of(label, metric)}
    return [
        Both(row.case, row.group, (score, others[row.case][1]), (_both_empty(row), _both_empty(others[row.case][0])))
        for row, score in against.of(label, metric)
        if row.case in others
    ]  # fmt: skip


def paired(both: Sequence[Both], traits: Traits) -> list[tuple[Both, tuple[float, float]]]:
    """The cases that can be compared, with the scores to compare; signed errors by their absolute value.

    A correct empty prediction gets the best possible score if the other prediction is not empty.
    """
    compared = []
    for of in both:
        a, b = of.scores
        scores = (
            traits.best if a != a and b == b and of.both_empty[0] else float(a),
            traits.best if b != b and a == a and of.both_empty[1] else float(b),
        )
        if scores[0] == scores[0] and scores[1] == scores[1]:
            sizes = (abs(scores[0]), abs(scores[1]))
            compared.append((of, sizes if traits.signed else scores))
    return compared


def _both_empty(row: Row) -> bool:
    return row.truth_samples == 0 == row.prediction_samples
