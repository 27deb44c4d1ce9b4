"""The scores of cases: kept as CSV, averaged, with intervals."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from delineate.files import whole_file
from delineate.metrics import EMPTY_RULE


@dataclass(frozen=True)
class Row:
    """The scores of one label in one case.

    label: "all" for the scores of the whole image, which have neither counts nor sizes.
    tp, fp, fn, tn: samples, without those that the truth marks to be ignored.
    found_size, truth_size: area or volume in `unit`, "mm³" or "px²".
    scores: by metric; NaN where the question does not arise.
    """

    case: str
    group: str
    label: str
    tp: int | None = None
    fp: int | None = None
    fn: int | None = None
    tn: int | None = None
    found_samples: int | None = None
    truth_samples: int | None = None
    found_size: float | None = None
    truth_size: float | None = None
    unit: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """The scores of a predictor on the cases of one split."""

    split: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of the cases, in order."""
        return tuple(dict.fromkeys(row.case for row in self.rows))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups (patients) that the cases belong to."""
        return tuple(dict.fromkeys(row.group for row in self.rows))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels with a score, in order; "all" where a metric judges the image as a whole."""
        return tuple(dict.fromkeys(row.label for row in self.rows))

    def of(self, label: str, metric: str) -> Iterator[tuple[Row, float]]:
        """Each row of a label with its score, where that label has such a score; it may be NaN."""
        return (
            (row, row.scores[metric])
            for row in self.rows
            if row.label == label and metric in row.scores
        )

    def means(self) -> dict[str, dict[str, float]]:
        """Mean over the cases by label and metric; NaN is left out."""
        return {
            label: {
                metric: _over(np.mean, values)
                for metric in self.metrics
                if (values := [score for _, score in self.of(label, metric)])
            }
            for label in self.labels
        }

    def pooled(self) -> dict[str, dict[str, float]]:
        """Dice and IoU of the counts summed over all cases, by label: large objects weigh more."""
        pooled = {}
        for label in self.labels:
            rows = [row for row in self.rows if row.label == label and row.tp is not None]
            if rows:
                tp, fp, fn = (sum(getattr(r, n) for r in rows) for n in ("tp", "fp", "fn"))
                union = tp + fp + fn
                pooled[label] = {
                    "dice_pooled": 2 * tp / (union + tp) if union else math.nan,
                    "iou_pooled": tp / union if union else math.nan,
                }
        return pooled

    def intervals(
        self, metric: str, label: str, *, seed: int = 0, resamples: int = 2000
    ) -> tuple[float, float]:
        """95 % percentile bootstrap interval of the mean, whole groups resampled (Efron 1979).

        Cases of one patient are not independent, so patients are drawn, not cases. NaN with fewer than two
        groups that have a score: nothing is known of the spread.
        """
        scored = [(row.group, score) for row, score in self.of(label, metric) if score == score]
        names, member = np.unique([group for group, _ in scored], return_inverse=True)
        if len(names) < 2:
            return math.nan, math.nan
        sums = np.bincount(member, weights=[score for _, score in scored])
        sizes = np.bincount(member)
        rng = np.random.default_rng(seed)
        means = np.empty(resamples)
        step = max(1, 2**20 // len(names))  # resamples at a time, so that memory stays bounded
        for i in range(0, resamples, step):
            drawn = rng.integers(len(names), size=(min(step, resamples - i), len(names)))
            means[i : i + step] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(low), float(high)

    def scores(self) -> dict[str, Any]:
        """All that is to be said in short, ready for JSON: NaN is None."""
        means, pooled = self.means(), self.pooled()
        labels: dict[str, Any] = {}
        for label in self.labels:
            rows = [row for row in self.rows if row.label == label]
            found: dict[str, Any] = {}
            for metric in means[label]:
                values = [score for _, score in self.of(label, metric)]
                found[metric] = {
                    "cases": sum(score == score for score in values),
                    "mean": _plain(means[label][metric]),
                    "interval": [_plain(end) for end in self.intervals(metric, label)],
                    "median": _plain(_over(np.median, values)),
                }
            labels[label] = {
                "cases": len(rows),
                "empty_truth": sum(row.truth_samples == 0 for row in rows),
                "empty_found": sum(row.found_samples == 0 for row in rows),
                "metrics": found,
                "pooled": {name: _plain(value) for name, value in pooled.get(label, {}).items()},
            }
        return {
            "split": self.split,
            "cases": len(self.cases),
            "groups": len(self.groups),
            "labels": labels,
            "interval": "95 %, percentile bootstrap of the mean, 2000 resamples of groups, seed 0",
            "empty_rule": EMPTY_RULE,
        }

    def save(self, path: Path) -> None:
        """Write the table as CSV: NaN is "nan", a score that a row does not have is blank."""
        with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["split", *FIXED, *self.metrics])
            for row in self.rows:
                facts = [getattr(row, name) for name in FIXED]
                writer.writerow([self.split, *facts, *(row.scores.get(m) for m in self.metrics)])

    @classmethod
    def load(cls, path: Path) -> Table:
        """Read a table that was saved.

        Raises:
            ValueError: a column is missing, a value is not a number, or the table holds several splits.
        """
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            missing = [name for name in ("split", *FIXED) if name not in columns]
            if missing:
                raise ValueError(
                    f"{path}: no column {missing[0]!r}; expected a table that `delineate evaluate` wrote."
                )
            metrics = tuple(name for name in columns if name not in ("split", *FIXED))
            lines = list(reader)
        splits = sorted({line["split"] for line in lines})
        if len(splits) > 1:
            raise ValueError(f"{path}: holds the splits {', '.join(splits)}; expected one.")
        try:
            rows = tuple(_row(line, metrics) for line in lines)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: {error}.") from error
        return cls(splits[0] if splits else "", metrics, rows)


FIXED = tuple(f.name for f in fields(Row) if f.name != "scores")
"""The columns every table has; any further one is a metric."""


def _row(line: Mapping[str, str], metrics: Sequence[str]) -> Row:
    def whole(name: str) -> int | None:
        return int(line[name]) if line[name] else None

    def size(name: str) -> float | None:
        return float(line[name]) if line[name] else None

    return Row(
        line["case"], line["group"], line["label"],
        whole("tp"), whole("fp"), whole("fn"), whole("tn"),
        whole("found_samples"), whole("truth_samples"), size("found_size"), size("truth_size"),
        line["unit"], {m: float(line[m]) for m in metrics if line[m]},
    )  # fmt: skip


def _over(average: Callable[..., Any], values: Sequence[float]) -> float:
    """The mean or median of what is not NaN; NaN of nothing, without a warning."""
    scored = [value for value in values if value == value]
    return float(average(scored)) if scored else math.nan


def _plain(value: float) -> float | None:
    return value if value == value else None
