"""The result of a comparison."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delineate.evaluation.compare.difference import Difference, both_scores, paired
from delineate.evaluation.stats import caution
from delineate.evaluation.table import Row, Table
from delineate.files import whole_file
from delineate.metrics import empty_rule


@dataclass(frozen=True)
class Comparison:
    """Tables of the same cases, and their differences.

    tables: by name, each with the same cases in the same order.
    metrics: what was compared; the first leads.
    differences: by pair, label and metric, over all cases.
    subgroups: the same for parts of the cases: by column, and by size in the truth.
    left_out: cases of each table that another one lacks.
    """

    tables: Mapping[str, Table]
    metrics: tuple[str, ...]
    differences: tuple[Difference, ...]
    subgroups: tuple[Difference, ...]
    left_out: Mapping[str, tuple[str, ...]]
    seed: int
    resamples: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables, in order."""
        return tuple(self.tables)

    @property
    def first(self) -> Table:
        """The first table: its cases, groups, columns and sizes are those of all."""
        return next(iter(self.tables.values()))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The compared pairs: (against, name)."""
        return tuple(dict.fromkeys((d.against, d.name) for d in self.differences))

    @property
    def tests(self) -> int:
        """Number of tests, for which p is corrected."""
        return sum(d.p == d.p for d in self.differences)

    @property
    def caution(self) -> str | None:
        """The caution about intervals from few groups, or None."""
        return caution(len(self.first.groups))

    @property
    def empty_rule(self) -> str:
        """What the metrics give where a mask is empty."""
        return empty_rule({metric: self.first.traits[metric] for metric in self.metrics})

    @property
    def caveats(self) -> dict[str, list[str]]:
        """Reasons why the cases may not be independent of the models, each with the names of its tables."""
        names: dict[str, list[str]] = {}
        for name, table in self.tables.items():
            for caveat in table.caveats:
                names.setdefault(caveat, []).append(name)
        return names

    def scores_of(self, label: str, metric: str) -> Iterator[tuple[Row, dict[str, float]]]:
        """Each case with such a score in any table: its row in the first table, and the scores by name."""
        columns = {
            name: {row.case: score for row, score in table.of(label, metric)}
            for name, table in self.tables.items()
        }
        for row in self.first.rows_of(label):
            known = {
                name: scores[row.case] for name, scores in columns.items() if row.case in scores
            }
            if known:
                yield row, known

    def paired(self, difference: Difference) -> list[tuple[str, float, float]]:
        """The cases of a difference, with the two scores as they were compared."""
        against, name = self.tables[difference.against], self.tables[difference.name]
        both = both_scores(against, name, difference.label, difference.metric)
        return [
            (of.case, *scores) for of, scores in paired(both, against.traits[difference.metric])
        ]

    def as_json(self) -> dict[str, Any]:
        """The whole result, ready for JSON: NaN is None."""
        return {
            "names": list(self.names),
            "split": self.first.split,
            "cases": len(self.first.cases),
            "groups": len(self.first.groups),
            "independent": {name: table.independent for name, table in self.tables.items()},
            "caveats": {name: list(table.caveats) for name, table in self.tables.items()},
            "left_out": {name: list(cases) for name, cases in self.left_out.items()},
            "difference": "name minus against",
            "interval": "95 %, paired t interval for few groups, cluster bootstrap: "
            f"{self.resamples} resamples of whole groups, seed {self.seed}",
            "caution": self.caution,
            "test": "Wilcoxon signed-rank over the mean differences of the groups, two-sided; "
            f"Holm over {self.tests} tests",
            "empty_rule": self.empty_rule,
            "differences": [difference.as_json() for difference in self.differences],
            "subgroups": [difference.as_json() for difference in self.subgroups],
        }

    def save(self, path: Path) -> None:
        """Write CSV, a row per case, label and metric: the scores by name, and their differences."""
        with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            minus = [f"{name} - {against}" for against, name in self.pairs]
            writer.writerow(["case", "group", "label", "metric", *self.names, *minus])
            for label in self.first.labels:
                for metric in self.metrics:
                    size = abs if self.first.traits[metric].signed else float
                    for row, scores in self.scores_of(label, metric):
                        known = [scores.get(name) for name in self.names]
                        apart = [
                            size(scores[name]) - size(scores[against])
                            if name in scores and against in scores
                            else None
                            for against, name in self.pairs
                        ]
                        writer.writerow([row.case, row.group, label, metric, *known, *apart])
