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

    traits: of each metric; those of a metric that is not given here are read from its own file.
    independent: whether the cases are independent of the model: not used for training, selection or calibration, and
        without known overlap in patients or images with cases that were. None if that is not known.
    caveats: sentences for a reader of the scores: why the cases are not independent, or why that is not known.
    """

    split: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    traits: Mapping[str, Traits] = field(default_factory=dict)
    independent: bool | None = None
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.independent and self.caveats:
            raise ValueError(
                f"independent is True, and there is a caveat: {self.caveats[0]} Give no caveats with independent "
                "cases."
            )
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
        """Labels with a score, in order; "all" for metrics of the image as a whole."""
        return tuple(self._by_label)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that make subgroups, as `subgroup_columns` selects them."""
        return subgroup_columns((row.group, row.columns) for row in self.rows)

    def rows_of(self, label: str) -> Sequence[Row]:
        """Each row of a label, in the order of the cases."""
        return self._by_label.get(label, ())

    def of(self, label: str, metric: str) -> Iterator[tuple[Row, float]]:
        """Each row of a label that has a score of this metric, with the score; it may be NaN."""
        return ((row, row.scores[metric]) for row in self.rows_of(label) if metric in row.scores)

    def tallies(self, label: str, metric: str) -> list[Tally]:
        """The tallies of a label, one per case; empty if a score of it is not a tally and so cannot be pooled."""
        scores = [score for _, score in self.of(label, metric)]
        tallies = [score for score in scores if isinstance(score, Tally)]
        return tallies if len(tallies) == len(scores) else []

    def pooled_of(self, label: str, metric: str) -> Iterator[tuple[Row, Tally]]:
        """Each row of a label that contributes to the pooled score, with its tally; none if a score is not a tally."""
        if self.tallies(label, metric):
            for row, score in self.of(label, metric):
                if isinstance(score, Tally) and score.parts.any():
                    yield row, score

    def mean(self, label: str, metric: str) -> float:
        """Mean over the cases, each counted once, without NaN; NaN for a metric with pooled scores only."""
        return self._over(np.mean, label, metric)

    def median(self, label: str, metric: str) -> float:
        """Median over the cases, as `mean`."""
        return self._over(np.median, label, metric)

    def means(self) -> dict[str, dict[str, float]]:
        """Mean over the cases by label and metric, without the metrics with pooled scores only."""
        return {
            label: {
                metric: self.mean(label, metric)
                for metric in self.metrics
                if any(True for _ in self.of(label, metric)) and not self.traits[metric].pooled_only
            }
            for label in self.labels
        }

    def pooled(self, label: str, metric: str) -> float | None:
        """The score of all cases taken together, so that large objects weigh more; None if scores are not tallies."""
        tallies = self.tallies(label, metric)
        return pool(tallies) if tallies else None

    def headline(self, label: str, metric: str) -> float:
        """The main figure: the pooled score for metrics with pooled scores only, else the mean over the cases."""
        if not self.traits[metric].pooled_only:
            return self.mean(label, metric)
        pooled = self.pooled(label, metric)
        return math.nan if pooled is None else pooled

    def overall(self, metric: str) -> float:
        """The mean of the headlines of all labels that have one, as validation uses it; NaN if there is none."""
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
        """95 % interval of the mean over the cases, or of the pooled score, computed for every resample.

        Whole groups are resampled, since cases of one patient are not independent. NaN with fewer than two groups that
        have a score, since the spread is then not known. `method` is that of `stats.bootstrap`.
        """
        key = label, metric, over, method, seed, resamples
        if key not in self._intervals:
            self._intervals[key] = bootstrap(
                *self._resampled(label, metric, over), seed=seed, resamples=resamples, method=method,
                bounds=self.traits[metric].bounds,
            )  # fmt: skip
        return self._intervals[key]

    def subgroups(self, column: str) -> dict[str, Table]:
        """The table of each value of a column; cases without a value are in none.

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
        """The table of a label in parts of about equal number of cases, from small to large in the truth.

        Cases without the label in the truth are in none. Empty if there are too few sizes, or several units.
        """
        return self._parts(
            ("size", label, parts), lambda: split_by_size(self.rows_of(label), parts)
        )

    def every_subgroup(self, labels: Iterable[str]) -> dict[str, dict[str, Table]]:
        """The table of each subgroup, by column and by the size of each of these labels.

        The columns are those of `columns`. Subgroups by size have the name that `size_column` gives; they are left out
        if there are too few sizes.
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
        """The summary of the table, ready for JSON: NaN is None."""
        return scores(self, method=method, seed=seed, resamples=resamples)

    def save(self, path: Path) -> None:
        """Write the table as CSV: NaN is "nan", a score that a row does not have is blank.

        The tallies for pooled scores and the independence of the cases are written beside it, as <stem>.tallies.npz.
        """
        write_table(self, path)

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read a saved table. Without the file beside it, scores cannot be pooled and the independence is not known.

        Raises:
            ValueError: a column is missing, a value is not a number, the table holds several splits, or the
                file beside it belongs to another table.
        """
        return cls(*read_table(path))

    @cached_property
    def _by_label(self) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {}
        for row in self.rows:
            rows.setdefault(row.label, []).append(row)
        return rows

    @cached_property
    def _intervals(self) -> dict[tuple[object, ...], Interval]:
        return {}

    @cached_property
    def _parted(self) -> dict[tuple[object, ...], dict[str, Table]]:
        return {}

    def _parts(
        self, by: tuple[object, ...], split: Callable[[], Mapping[str, Sequence[Row]]]
    ) -> dict[str, Table]:
        """Tables of the rows that `split` gives, made once, since each caches its intervals."""
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
            # A group with nothing to pool holds no information on the spread, and is not counted.
            filled = list(self.pooled_of(label, metric))
            return partial(pool_weighted, [s for _, s in filled]), [row.group for row, _ in filled]
        scored = [(r, s) for r, s in rows if s == s and not self.traits[metric].pooled_only]
        values = np.array([score for _, score in scored], dtype=np.float64)
        return partial(weighted_mean, values), [row.group for row, _ in scored]
