"""The scores of a predictor on cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from delineate.evaluation.stats import Interval, Method, bootstrap, weighted_mean
from delineate.evaluation.table._csv import read_table, write_table
from delineate.evaluation.table._scores import scores
from delineate.evaluation.table.row import Row
from delineate.evaluation.table.subgroups import size_column, split_by_size, subgroup_columns
from delineate.metrics import Tally, Traits, pool, pool_weighted, traits_by_name


@dataclass(frozen=True)
class Table:
    """The scores of a predictor on the cases of one split.

    traits: what is known of each metric; of one that is not named here, what its own file says.
    independent: whether the cases had no part in making the model: neither learnt from nor chosen or fitted on, and not
        known to share patients or images with cases that were. None where that is not known.
    caveats: what speaks against it, or why it is not known: sentences for a reader of the scores.
    """

    split: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    traits: Mapping[str, Traits] = field(default_factory=dict)
    independent: bool | None = None
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.independent and self.caveats:
            raise ValueError(f"scores are called independent, and have a caveat: {self.caveats[0]}")
        known = {m: self.traits.get(m) or traits_by_name(m) for m in self.metrics}
        object.__setattr__(self, "traits", known)

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """Ids of the cases, in order."""
        return tuple(dict.fromkeys(row.case for row in self.rows))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The groups (patients) that the cases belong to."""
        return tuple(dict.fromkeys(row.group for row in self.rows))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels with a score, in order; "all" where a metric judges the image as a whole."""
        return tuple(self._by_label)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that make subgroups, as `subgroup_columns` has them."""
        return subgroup_columns((row.group, row.columns) for row in self.rows)

    def rows_of(self, label: str) -> Sequence[Row]:
        """Each row of a label, in the order of the cases."""
        return self._by_label.get(label, ())

    def of(self, label: str, metric: str) -> Iterator[tuple[Row, float]]:
        """Each row of a label with its score, where that label has such a score; it may be NaN."""
        return ((row, row.scores[metric]) for row in self.rows_of(label) if metric in row.scores)

    def tallies(self, label: str, metric: str) -> list[Tally]:
        """The scores of a label that can be pooled, case by case; none if one of them cannot."""
        found = [score for _, score in self.of(label, metric)]
        tallies = [score for score in found if isinstance(score, Tally)]
        return tallies if len(tallies) == len(found) else []

    def pooled_of(self, label: str, metric: str) -> Iterator[tuple[Row, Tally]]:
        """Each row of a label that adds something to the pooled score, with its tally; none if one cannot be pooled."""
        if self.tallies(label, metric):
            for row, score in self.of(label, metric):
                if isinstance(score, Tally) and score.parts.any():
                    yield row, score

    def mean(self, label: str, metric: str) -> float:
        """Mean over the cases, each counted once; NaN is left out, and the mean of a metric read pooled only."""
        return self._over(np.mean, label, metric)

    def median(self, label: str, metric: str) -> float:
        """Median over the cases, as `mean`."""
        return self._over(np.median, label, metric)

    def means(self) -> dict[str, dict[str, float]]:
        """Mean over the cases by label and metric, without the metrics that are read pooled only."""
        return {
            label: {
                metric: self.mean(label, metric)
                for metric in self.metrics
                if any(True for _ in self.of(label, metric)) and not self.traits[metric].pooled_only
            }
            for label in self.labels
        }

    def pooled(self, label: str, metric: str) -> float | None:
        """The score of all cases taken together, so that large objects weigh more; None where scores are no tallies."""
        tallies = self.tallies(label, metric)
        return pool(tallies) if tallies else None

    def headline(self, label: str, metric: str) -> float:
        """The one figure to read: the pooled score where one case says little, else the mean over the cases."""
        if not self.traits[metric].pooled_only:
            return self.mean(label, metric)
        pooled = self.pooled(label, metric)
        return math.nan if pooled is None else pooled

    def overall(self, metric: str) -> float:
        """The mean of the headlines of all labels that have one: one figure to pick weights by; NaN of none."""
        figures = [self.headline(label, metric) for label in self.labels]
        known = [figure for figure in figures if figure == figure]
        return math.fsum(known) / len(known) if known else math.nan

    def interval(
        self,
        label: str,
        metric: str,
        *,
        over: Literal["mean", "pooled"] = "mean",
        method: Method = "t",
        seed: int = 0,
        resamples: int = 2000,
    ) -> Interval:
        """95 % interval of the mean over the cases, or of the pooled score, read anew from every resample.

        Cases of one patient are not independent, so whole groups are drawn, not cases. NaN with fewer than two
        groups that have a score: nothing is known of the spread. `method` is that of `stats.bootstrap`.
        """
        asked = label, metric, over, method, seed, resamples
        if asked not in self._intervals:
            self._intervals[asked] = bootstrap(
                *self._resampled(label, metric, over), seed=seed, resamples=resamples, method=method,
                bounds=self.traits[metric].bounds,
            )  # fmt: skip
        return self._intervals[asked]

    def subgroups(self, column: str) -> dict[str, Table]:
        """The table of each kind of case that a column tells apart; cases of which it says nothing are in none.

        Raises:
            ValueError: no case has such a column.
        """
        values = sorted({row.columns[column] for row in self.rows if column in row.columns})
        if not values:
            named = sorted({name for row in self.rows for name in row.columns})
            raise ValueError(
                f"no case has a column {column!r}; "
                + (f"there are {', '.join(named)}." if named else "no column is known.")
            )
        return self._parts(
            ("column", column),
            lambda: {v: [r for r in self.rows if r.columns.get(column) == v] for v in values},
        )

    def by_size(self, label: str, parts: int = 3) -> dict[str, Table]:
        """The rows of a label in parts of as many cases, from small to large in the truth, by the sizes in words.

        Cases without the label in the truth are in none. Empty where sizes are too few, or in several units.
        """
        return self._parts(
            ("size", label, parts), lambda: split_by_size(self.rows_of(label), parts)
        )

    def every_subgroup(self, labels: Iterable[str]) -> dict[str, dict[str, Table]]:
        """By column, and by the size of each of these labels, the table of each kind of case.

        The columns are those of `columns`; sizes are under the name that `size_column` gives, and left out where they
        make no parts.
        """
        sizes = {size_column(label): self.by_size(label) for label in labels}
        return {column: self.subgroups(column) for column in self.columns} | {
            name: parts for name, parts in sizes.items() if parts
        }

    def scores(
        self,
        *,
        method: Method = "t",
        seed: int = 0,
        resamples: int = 2000,
    ) -> dict[str, Any]:
        """All that is to be said in short, ready for JSON: NaN is None."""
        return scores(self, method=method, seed=seed, resamples=resamples)

    def save(self, path: Path) -> None:
        """Write the table as CSV: NaN is "nan", a score that a row does not have is blank.

        What scores were read from, so that cases can be pooled, and whether the cases are independent, is written
        beside it, as <stem>.tallies.npz.
        """
        write_table(self, path)

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read a table that was saved; without the file beside it, its scores cannot be pooled.

        Nor is it then known whether the cases are independent.

        Raises:
            ValueError: a column is missing, a value is not a number, the table holds several splits, or the
                file beside it belongs to another table.
        """
        return cls(*read_table(path))

    @cached_property
    def _by_label(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.label, []).append(row)
        return found

    @cached_property
    def _intervals(self) -> dict[tuple[object, ...], Interval]:
        return {}

    @cached_property
    def _parted(self) -> dict[tuple[object, ...], dict[str, Table]]:
        return {}

    def _parts(
        self, by: tuple[object, ...], split: Callable[[], Mapping[str, Sequence[Row]]]
    ) -> dict[str, Table]:
        """Tables of the rows that `split` gives, made once: each remembers its intervals."""
        if by not in self._parted:
            self._parted[by] = {
                name: replace(self, rows=tuple(rows)) for name, rows in split().items()
            }
        return dict(self._parted[by])

    def _over(self, average: Callable[..., Any], label: str, metric: str) -> float:
        scored = [score for _, score in self.of(label, metric) if score == score]
        if not scored or self.traits[metric].pooled_only:
            return math.nan
        return float(average(scored))

    def _resampled(
        self, label: str, metric: str, over: str
    ) -> tuple[Callable[[np.ndarray], np.ndarray], list[str]]:
        """The statistic of weighted cases, and the group of each case."""
        rows = list(self.of(label, metric))
        if over == "pooled":
            # A group without anything to pool says nothing of the spread, and is not counted.
            told = list(self.pooled_of(label, metric))
            return partial(pool_weighted, [s for _, s in told]), [row.group for row, _ in told]
        scored = [(r, s) for r, s in rows if s == s and not self.traits[metric].pooled_only]
        values = np.array([score for _, score in scored], dtype=np.float64)
        return partial(weighted_mean, values), [row.group for row, _ in scored]
