"""Stages that each add one step to the one before, and what each step gains."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from delineate.evaluation.compare.comparison import Comparison
from delineate.evaluation.compare.difference import Difference, both_scores, difference
from delineate.evaluation.stats import Interval, bootstrap
from delineate.files import whole_file

COLUMNS = ("run", "stage", "label", "metric", "cases", "mean", "low", "high", "against_first", "against_first_low",
           "against_first_high", "against_before", "against_before_low", "against_before_high")  # fmt: skip
"""The columns of an ablation's CSV: the mean and the two differences, each with its 95 % interval."""

UNCHANGED = "no case differs"
"""Written instead of the interval of a step that changes no score. With few groups it would be wide."""


@dataclass(frozen=True)
class Stage:
    """One score of one label, of one stage of one run.

    table: the name of the stage's table in the comparison.
    cases: number of cases with this score.
    first, before: the difference from the run's first stage, and from the stage before; None for the first stage, and
        if no case has the score in both.
    """

    run: str
    stage: str
    table: str
    label: str
    metric: str
    cases: int
    mean: float
    interval: Interval
    first: Difference | None
    before: Difference | None


@dataclass(frozen=True)
class Ablation:
    """The stages of one or more runs, in order; each has the steps of the stages before it and its own.

    comparison: each stage of each run against the first of this run.
    runs: by name of the run, then of the stage: the name of the stage's table in the comparison.
    """

    comparison: Comparison
    runs: Mapping[str, Mapping[str, str]]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """By metric, label, run and stage, in order."""
        first = self.comparison.first
        return tuple(
            stage
            for metric in self.comparison.metrics
            for label in first.labels
            if any(True for _ in first.of(label, metric))
            for run, tables in self.runs.items()
            for stage in self._of_run(run, tables, label, metric)
        )

    @property
    def reference(self) -> str:
        """What every run begins with, in words."""
        names = {next(iter(tables)) for tables in self.runs.values()}
        return names.pop() if len(names) == 1 else "the first stage"

    @property
    def lines(self) -> list[str]:
        """The table for the terminal."""
        written = []
        wide = max(len(name) for tables in self.runs.values() for name in tables)
        for i, of in enumerate(self.stages):
            block = (of.label, of.metric)
            if not i or block != (self.stages[i - 1].label, self.stages[i - 1].metric):
                written.append(
                    f"{of.label}, {of.metric}: mean, against {self.reference}, against the stage before, with 95 % "
                    "intervals"
                )
            if len(self.runs) > 1 and of.table == next(iter(self.runs[of.run].values())):
                written.append(f"  {of.run}")
            mean = f"{of.mean:.3f}" if of.mean == of.mean else "  -  "
            written.append(
                f"    {of.stage:<{wide}}  {mean}  {_told(of.first):<25}  {_told(of.before)}".rstrip()
            )
        return written

    def save(self, path: Path) -> None:
        """Write CSV, a row per metric, label, run and stage."""
        with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for of in self.stages:
                numbers = (of.mean, *of.interval, *_numbers(of.first), *_numbers(of.before))
                known = ["" if number != number else number for number in numbers]
                writer.writerow([of.run, of.stage, of.label, of.metric, of.cases, *known])

    def _of_run(
        self, run: str, tables: Mapping[str, str], label: str, metric: str
    ) -> Sequence[Stage]:
        found = []
        names = list(tables.values())
        for i, (stage, name) in enumerate(tables.items()):
            table = self.comparison.tables[name]
            pooled = table.traits[metric].pooled_only
            score = table.pooled(label, metric) if pooled else table.mean(label, metric)
            found.append(
                Stage(
                    run,
                    stage,
                    name,
                    label,
                    metric,
                    sum(score == score for _, score in table.of(label, metric)),
                    float("nan") if score is None else score,
                    table.interval(label, metric, over="pooled" if pooled else "mean"),
                    self._against(names[0], name, label, metric) if i else None,
                    self._against(names[i - 1], name, label, metric) if i else None,
                )
            )
        return found

    def _against(self, against: str, name: str, label: str, metric: str) -> Difference | None:
        """One difference; that from the stage before is not tested."""
        wanted = (against, name, label, metric)
        for d in self.comparison.differences:
            if (d.against, d.name, d.label, d.metric) == wanted:
                return d
        before, after = self.comparison.tables[against], self.comparison.tables[name]
        both = both_scores(before, after, label, metric)
        if not both:
            return None
        draw = partial(bootstrap, seed=self.comparison.seed, resamples=self.comparison.resamples)
        return difference(
            both, before.traits[metric], draw, whole=True,
            label=label, metric=metric, against=against, name=name,
        )  # fmt: skip


def _numbers(d: Difference | None) -> tuple[float, float, float]:
    if d is None:
        return (float("nan"),) * 3
    apart, interval = d.leading
    return apart, *interval


def _told(d: Difference | None) -> str:
    apart, low, high = _numbers(d)
    if d is None or apart != apart:
        return ""
    if d.ties == d.cases and not apart:
        return f"{apart:+.3f} ({UNCHANGED})"
    return f"{apart:+.3f}" + (f" [{low:+.3f}, {high:+.3f}]" if low == low else "")
