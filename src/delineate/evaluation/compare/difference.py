"""How one score differs between two tables of the same cases."""

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
"""What a difference is shown at: p after Holm's correction below it, for the same side, and 0 outside the interval."""

TIE = 1e-9
"""Scores that differ by less are equal."""

Draw = Callable[..., Interval]
"""A statistic of weighted cases, the group of each case, and `bounds` of the statistic -> its interval."""


@dataclass(frozen=True)
class Difference:
    """How one score of one label differs between two tables, over the cases that have it in both.

    A difference is always `name` minus `against`. Of a signed error its size is compared. Where one rightly finds
    nothing and the other finds something, the first has the best score there is, not none: to leave such cases out
    would hide what the second finds wrongly. Cases in which neither has a score are left out.

    scores: means over the cases, of `against` and of `name`.
    credited: cases in which either has the best score for rightly finding nothing.
    mean, interval: of the difference case by case; NaN for a metric that is read pooled only.
    pooled_scores, pooled, pooled_interval: of all cases taken together; NaN where scores cannot be pooled, and for a
        part of the cases.
    p: that of Wilcoxon's test over the mean differences of the groups; p_holm: corrected for all tests made.
        NaN for a part of the cases, and for what is read pooled only: no test is made.
    rank_sum: for whom that test speaks: its signed-rank sum, above 0 where `name` has more.
    wins, ties, losses: cases in which `name` is better, equal, worse.
    lower_is_better: of this score.
    subgroup: of which part of the cases, as (column, value); None for all.
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
        """The difference to read, and its interval: that of the means, or the pooled one where there is no mean."""
        if self.mean == self.mean:
            return self.mean, self.interval
        return self.pooled, self.pooled_interval

    @property
    def better(self) -> str:
        """Whose score is better, however little; "" where they are equal or not known."""
        gain = -self.leading[0] if self.lower_is_better else self.leading[0]
        if not abs(gain) > TIE:
            return ""
        return self.name if gain > 0 else self.against

    @property
    def shown(self) -> bool:
        """Whether it is more than chance would easily bring: by its interval, and by a test that speaks for the same.

        Never where no test was made. Many small gains against few large losses have a small p for one and a better
        mean of the other: nobody is shown to be better.
        """
        apart, interval = self.leading
        sure = interval.known and 0.0 not in interval and self.p_holm < SURE
        return sure and self.rank_sum * apart > 0

    def as_json(self) -> dict[str, Any]:
        """All of it; NaN is None."""
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

    whole: over all cases: with a test, and the pooled scores too.
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
    # A group without anything to pool says nothing of the spread, and is not counted.
    told = [any(of.parts.any() for of in pair) for pair in zip(*tallies, strict=True)]
    both = [of for of, t in zip(both, told, strict=True) if t]
    tallies = [[score for score, t in zip(of, told, strict=True) if t] for of in tallies]

    def pooled(weights: np.ndarray) -> list[np.ndarray]:
        scores = [pool_weighted(of, weights) for of in tallies]
        return [np.abs(of) for of in scores] if traits.signed else scores

    def apart(weights: np.ndarray) -> np.ndarray:
        against, name = pooled(weights)
        return np.asarray(name - against)

    against, name = (float(of[0]) for of in pooled(np.ones((1, len(both)))))
    return (against, name), draw(apart, [of.group for of in both], bounds=_bounds(traits))


def _bounds(traits: Traits) -> tuple[float, float]:
    """Those of a difference; what a length or the size of a signed error differs by has none."""
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
    """A case and its two scores, perhaps NaN: that against which is compared, and that which is.

    nothing: whether nothing was found where nothing is, on either side.
    """

    case: str
    group: str
    scores: tuple[float, float]
    nothing: tuple[bool, bool]


def both_scores(against: Table, name: Table, label: str, metric: str) -> list[Both]:
    """The cases that have such a score in both tables, in the order of the first."""
    others = {row.case: (row, score) for row, score in name.of(label, metric)}
    return [
        Both(row.case, row.group, (score, others[row.case][1]), (_nothing(row), _nothing(others[row.case][0])))
        for row, score in against.of(label, metric)
        if row.case in others
    ]  # fmt: skip


def paired(both: Sequence[Both], traits: Traits) -> list[tuple[Both, tuple[float, float]]]:
    """The cases that can be compared, with the scores to compare: of signed errors the size.

    Who rightly finds nothing where the other finds something has the best score there is.
    """
    found = []
    for of in both:
        a, b = of.scores
        scores = (
            traits.best if a != a and b == b and of.nothing[0] else float(a),
            traits.best if b != b and a == a and of.nothing[1] else float(b),
        )
        if scores[0] == scores[0] and scores[1] == scores[1]:
            found.append((of, (abs(scores[0]), abs(scores[1])) if traits.signed else scores))
    return found


def _nothing(row: Row) -> bool:
    return row.truth_samples == 0 == row.prediction_samples
