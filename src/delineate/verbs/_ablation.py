"""The ablation of refinement steps: what each did to unseen cases, as lines, JSON and a table."""

from __future__ import annotations

import csv
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from delineate.evaluation.stats.bootstrap import bootstrap
from delineate.evaluation.stats.interval import Interval
from delineate.files import whole_file

TABLE = "ablation.csv"
"""The name of the table."""


LEAST_GROUPS = 5
"""Groups with a label in their truth for the label to count in `dice`: with fewer, one case would decide."""


@dataclass(frozen=True)
class Measure:
    """What steps are chosen by.

    metric: "dice", over the cases whose prediction or truth has the label; "dice_empty1", over all cases, where
        both-empty counts 1.
    labels: their names.
    groups: of the cases.
    counted: indices of the labels whose mean is taken.

    Scores are (case, label) Dice, NaN where neither the prediction nor the truth has the label.
    """

    metric: str
    labels: Sequence[str]
    groups: Sequence[str]
    counted: Sequence[int]

    @classmethod
    def of_truths(
        cls, metric: str, labels: Sequence[str], groups: Sequence[str], truths: np.ndarray
    ) -> Measure:
        """Count all labels, but in "dice" only those that at least five groups (or all, if fewer) have.

        truths: (case, label), whether the truth has the label.
        """
        least = min(LEAST_GROUPS, len(set(groups)))
        having = [
            len({group for group, has in zip(groups, of, strict=True) if has}) for of in truths.T
        ]
        counted = [i for i, count in enumerate(having) if metric != "dice" or count >= least]
        return cls(metric, labels, groups, counted)

    @property
    def left_out(self) -> list[str]:
        """Names of the labels that do not count."""
        return [name for i, name in enumerate(self.labels) if i not in self.counted]

    def mean(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The mean over labels of the mean over cases, for weights (resample, case): (resample,).

        It is NaN where no case with a label has a weight.
        """
        scores = scores[:, list(self.counted)]
        if self.metric == "dice_empty1":
            scores = _with_empty_as_1(scores)
        known = ~np.isnan(scores)
        totals = weights @ known
        means = np.full(totals.shape, np.nan)
        np.divide(weights @ np.where(known, scores, 0), totals, out=means, where=totals > 0)
        return np.asarray(means.mean(axis=1)) if self.counted else np.full(len(weights), np.nan)

    def gain(self, after: np.ndarray, before: np.ndarray) -> tuple[float, Interval]:
        """The gain of one array of scores over another, and its 95 % interval by the bootstrap over groups."""

        def gain(weights: np.ndarray) -> np.ndarray:
            return np.asarray(self.mean(after, weights) - self.mean(before, weights))

        return float(gain(np.ones((1, len(self.groups))))[0]), bootstrap(gain, self.groups)

    def means(self, scores: np.ndarray, *, present: bool = False) -> dict[str, float]:
        """The mean Dice of each label.

        present: of the cases whose prediction or truth has the label; else of all, 1 where neither has.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no case has the label: NaN
            means = np.nanmean(scores if present else _with_empty_as_1(scores), axis=0)
        return {name: float(value) for name, value in zip(self.labels, means, strict=True)}


def _with_empty_as_1(scores: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(scores), 1.0, scores)


@dataclass(frozen=True)
class Tried:
    """What a step did to cases whose fold chose neither its arguments nor the steps before it.

    step: its name.
    arguments: those that were chosen on all cases.
    dice: the mean Dice of each label after the kept steps and this one, over cases; 1 where prediction and truth have
        none of it.
    present: the same over the cases whose prediction or truth has the label; NaN without such a case.
    gain: in the metric of the fit, over the kept steps without this one; mean of the labels.
    interval: 95 % interval of the gain.
    kept: whether the bundle got the step: with all cases, the interval of its gain is above zero.
    """

    step: str
    arguments: dict[str, Any]
    dice: dict[str, float]
    present: dict[str, float]
    gain: float
    interval: Interval
    kept: bool


@dataclass(frozen=True)
class Refined:
    """The result of `refine_fit`.

    cases, groups: how many the steps were fitted and judged on.
    dice, present: those of `Tried`, without the steps.
    tried: each step, in order.
    measure: what the gains are measured in and the steps were chosen by.
    gain, interval: of all kept steps together, chosen without the fold of each case.
    table: the file with these figures.
    """

    cases: int
    groups: int
    dice: dict[str, float]
    present: dict[str, float]
    measure: Measure
    tried: tuple[Tried, ...]
    gain: float
    interval: Interval
    table: Path

    @property
    def lines(self) -> list[str]:
        """The result, for the terminal."""
        wide = max(len(one.step) for one in self.tried)
        written = [
            f"{self.cases} cases of {self.groups} groups, each predicted by a model that did not see it",
            "mean Dice of cases whose prediction or truth has the label (in brackets: of all cases, both-empty as 1); "
            f"gain in {self.measure.metric} over the kept steps before it, mean of the labels, 95 % interval",
            *self._not_counted(),
            f"  {'none':<{wide}}  {_shown(self.dice, self.present)}",
        ]
        for one in self.tried:
            kept = "kept" if one.kept else "left out"
            written.append(
                f"  {one.step:<{wide}}  {_shown(one.dice, one.present)}  {signed(one.gain, one.interval)}  {kept}"
            )
        kept_steps = ", ".join(one.step for one in self.tried if one.kept)
        written.append(
            f"kept together: {kept_steps or 'none'}, gain {signed(self.gain, self.interval)}; table: {self.table}"
        )
        return written

    def as_json(self) -> dict[str, Any]:
        """The figures, for the card."""
        return {
            "cases": self.cases,
            "groups": self.groups,
            "dice": self.dice,
            "present": _known(self.present),
            "steps": [
                {
                    **asdict(one),
                    "present": _known(one.present),
                    "gain": _finite(one.gain),
                    "interval": _ends(one.interval),
                }
                for one in self.tried
            ],
            "metric": self.measure.metric,
            "labels": [self.measure.labels[i] for i in self.measure.counted],
            "gain": _finite(self.gain),
            "interval": _ends(self.interval),
        }

    def _not_counted(self) -> list[str]:
        names = self.measure.left_out
        told = f"not counted in the gain, since fewer than {LEAST_GROUPS} groups have it: {', '.join(names)}"
        return [told] if names else []

    def save(self) -> None:
        """Write the table: a row for no step, one for each step, and one for the kept steps together."""
        names = list(self.dice)
        self.table.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.table) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            dices = [f"dice {name}" for name in names] + [
                f"dice {name} (present)" for name in names
            ]
            writer.writerow(["step", *dices, "gain", "low", "high", "kept", "arguments"])
            before = (*self.dice.values(), *_known(self.present).values())
            writer.writerow(["none", *before, "", "", "", "", ""])
            for one in self.tried:
                ends = one.interval if one.interval.known else ("", "")
                kept = "yes" if one.kept else "no"
                row = [
                    one.step,
                    *one.dice.values(),
                    *_known(one.present).values(),
                    one.gain,
                    *ends,
                    kept,
                    json.dumps(one.arguments),
                ]
                writer.writerow(row)
            ends = self.interval if self.interval.known else ("", "")
            writer.writerow(["all kept", *[""] * len(dices), self.gain, *ends, "", ""])


def _ends(interval: Interval) -> list[float] | None:
    return list(interval) if interval.known else None


def _known(values: dict[str, float]) -> dict[str, float | None]:
    return {name: _finite(value) for name, value in values.items()}


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value


def _shown(dice: dict[str, float], present: dict[str, float]) -> str:
    return "  ".join(f"{name} {_number(present[name])} ({dice[name]:.4f})" for name in dice)


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def signed(gain: float, interval: Interval) -> str:
    """A gain with its interval, for the terminal."""
    ends = f" [{interval.low:+.4f}, {interval.high:+.4f}]" if interval.known else ""
    return f"{gain:+.4f}{ends}"
