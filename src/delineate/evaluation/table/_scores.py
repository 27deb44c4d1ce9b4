"""The summary of a table, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from delineate.evaluation.stats import Interval, Method, agreement, caution, clopper_pearson
from delineate.evaluation.table.sizes import sizes
from delineate.metrics import empty_rule

if TYPE_CHECKING:
    from delineate.evaluation.table.row import Row
    from delineate.evaluation.table.table import Table

METHODS = {
    "t": "t interval for few groups, cluster",
    "percentile": "percentile",
    "bca": "BCa",
}


def scores(table: Table, *, method: Method, seed: int, resamples: int) -> dict[str, Any]:
    """Scores by label and metric, and by subgroup, label and metric; NaN is None."""
    short = _Summary(table, {"method": method, "seed": seed, "resamples": resamples})
    labels = {label: short.of_label(label) for label in table.labels}
    return {
        "split": table.split,
        "cases": len(table.cases),
        "groups": len(table.groups),
        "independent": table.independent,
        "caveats": list(table.caveats),
        "empty_rule": empty_rule(table.traits),
        "interval": f"95 %, {METHODS[method]} bootstrap: {resamples} resamples of whole groups, seed {seed}",
        "caution": _caution(labels, len(table.groups)),
        "metrics": {metric: short.about(metric) for metric in table.metrics},
        "labels": labels,
        "subgroups": short.subgroups(),
    }


def cases_scored(score: Mapping[str, Any]) -> tuple[str, str]:
    """The number of cases of a mean, and the errors that it leaves out; `score` is that of one metric in `scores`.

    >>> cases_scored({"cases": 9, "left_out": {"cases": 0, "only_prediction": 0, "only_truth": 0}})
    ('9', '')
    >>> cases_scored({"cases": 9, "left_out": {"cases": 3, "only_prediction": 2, "only_truth": 0}})
    ('9 of 12', 'left out: 2 empty truths with predictions')
    """
    left_out = score["left_out"]
    if not left_out["cases"]:
        return f"{score['cases']:,}", ""
    kinds = {
        "only_prediction": ("empty truth with a prediction", "empty truths with predictions"),
        "only_truth": ("truth with an empty prediction", "truths with empty predictions"),
    }
    hidden = [f"{left_out[k]:,} {w[left_out[k] != 1]}" for k, w in kinds.items() if left_out[k]]
    words = f"{score['cases']:,} of {score['cases'] + left_out['cases']:,}"
    return words, f"left out: {', '.join(hidden)}" if hidden else ""


@dataclass(frozen=True)
class _Summary:
    table: Table
    how: Mapping[str, Any]

    def about(self, metric: str) -> dict[str, Any]:
        traits = self.table.traits[metric]
        # "mm³" is the unit of sizes, "mm" that of lengths.
        units = sorted({row.unit[:-1] for row in self.table.rows if row.unit})
        return {
            "lower_is_better": traits.lower_is_better,
            "unit": " or ".join(units) if traits.unit == "length" else traits.unit,
            "range": None if traits.range is None else list(traits.range),
            "empty": None if traits.empty is None else asdict(traits.empty),
        }

    def of_label(self, label: str) -> dict[str, Any]:
        rows = self.table.rows_of(label)
        summary: dict[str, Any] = {
            "cases": len(rows),
            "empty_truth": sum(row.truth_samples == 0 for row in rows),
            "empty_found": sum(row.prediction_samples == 0 for row in rows),
            "only_one_empty": sum(
                (r.truth_samples == 0) != (r.prediction_samples == 0)
                for r in rows
                if None not in (r.truth_samples, r.prediction_samples)
            ),
            **_images(rows),
            **self.sizes(rows),
            "metrics": {
                metric: self.of_metric(self.table, label, metric)
                | self.pooled(self.table, label, metric)
                for metric in self.table.metrics
                if any(True for _ in self.table.of(label, metric))
            },
        }
        for metric in summary["metrics"]:
            if "empty means" in self.table.traits[metric].roles:
                summary |= self.empties(label, metric)
        return summary

    def sizes(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Volumes in ml, or areas in cm²: their means over the cases that have the label, and how they differ."""
        known = sizes(rows)
        if known is None:
            return {}
        found = agreement(
            known.prediction, known.truth, [row.group for row in known.rows], **self.how
        )
        return {
            "size": {
                "unit": known.unit,
                "cases": len(known.rows),
                "truth": float(known.truth.mean()),
                "prediction": float(known.prediction.mean()),
                "difference": found.difference,
                "interval": _ends(found.interval),
                "limits_of_agreement": _ends(found.limits),
            }
        }

    def of_metric(self, table: Table, label: str, metric: str) -> dict[str, Any]:
        rows = [row for row, _ in table.of(label, metric)]
        if table.traits[metric].pooled_only:
            scored = [row for row, _ in table.pooled_of(label, metric)]
        else:
            scored = [row for row, score in table.of(label, metric) if score == score]
        with_score = {row.case for row in scored}
        return {
            "cases": len(scored),
            "groups": len({row.group for row in scored}),
            "left_out": _left_out(row for row in rows if row.case not in with_score),
            "mean": _plain(table.mean(label, metric)),
            "interval": _ends(table.interval(label, metric, **self.how)),
            "median": _plain(table.median(label, metric)),
        }

    def pooled(self, table: Table, label: str, metric: str) -> dict[str, Any]:
        interval = table.interval(label, metric, over="pooled", **self.how)
        value = table.pooled(label, metric)
        pooled: dict[str, Any] = {"pooled": _plain(value), "pooled_interval": _ends(interval)}
        if (exact := _exact(table, label, metric)) is not None:
            pooled["exact_interval"] = _ends(exact)
        if pooled["pooled"] is None and (why := _one_kind(table.rows_of(label))):
            pooled["reason"] = why
        return pooled

    def empties(self, label: str, metric: str) -> dict[str, Any]:
        """Two means: over the cases whose truth has the label, and over all cases, with 1 if both masks are empty."""
        scored = list(self.table.of(label, metric))
        nonempty = [s for row, s in scored if row.truth_samples and s == s]
        empty1 = [
            1.0 if row.truth_samples == 0 == row.prediction_samples else s
            for row, s in scored
            if row.truth_samples is not None
        ]
        empty1 = [s for s in empty1 if s == s]
        return {
            f"{metric}_mean_nonempty": _plain(_mean(nonempty)),
            f"{metric}_mean_empty1": _plain(_mean(empty1)),
        }

    def subgroups(self) -> dict[str, Any]:
        return {
            column: {value: self.of_part(part) for value, part in parts.items()}
            for column, parts in self.table.every_subgroup(self.table.labels).items()
        }

    def of_part(self, part: Table) -> dict[str, Any]:
        images = any(row.image_prediction is not None for row in part.rows)
        return {
            "cases": len(part.cases),
            "groups": len(part.groups),
            "labels": {
                label: {
                    metric: self.of_metric(part, label, metric)
                    | (self.pooled(part, label, metric) if part.traits[metric].pooled_only else {})
                    for metric in part.metrics
                    if any(True for _ in part.of(label, metric))
                    and (images or not part.traits[metric].pooled_only)
                }
                for label in part.labels
            },
        }


def _images(rows: Sequence[Row]) -> dict[str, int]:
    """The numbers of images that show the label, do not, or are not known to; empty if masks were evaluated."""
    if all(row.image_prediction is None for row in rows):
        return {}
    return {
        "images_with": sum(row.image_truth is True for row in rows),
        "images_without": sum(row.image_truth is False for row in rows),
        "images_unknown": sum(row.image_truth is None for row in rows),
    }


def _exact(table: Table, label: str, metric: str) -> Interval | None:
    """The Clopper-Pearson interval of a rate over images, if every image is a group of its own; else None."""
    known = list(table.pooled_of(label, metric))
    groups = {row.group for row, _ in known}
    parts = [tally.parts for _, tally in known if tally.kind == "ratio"]
    counted = [part for part in parts if part.dtype.kind == "i" and part[1] == 1]
    rate = table.traits[metric].pooled_only and known and len(counted) == len(known) == len(groups)
    return clopper_pearson(sum(int(part[0]) for part in counted), len(counted)) if rate else None


def _one_kind(rows: Sequence[Row]) -> str:
    """The reason why an image-level score does not exist; "" if the reason is not known."""
    if all(row.image_prediction is None for row in rows):
        return ""
    known = [row for row in rows if row.image_truth is not None]
    shown = sum(bool(row.image_truth) for row in known)
    if not known:
        return "no image has a known truth"
    if shown == len(known):
        return "every image shows it"
    return "no image shows it" if not shown else "no image is predicted to show it"


def _caution(labels: Mapping[str, Any], groups: int) -> str | None:
    """The caution for the label with the fewest groups that have a score."""
    known = {
        name: min((m["groups"] for m in about["metrics"].values() if m["groups"]), default=groups)
        for name, about in labels.items()
    }
    fewest = min(known, key=lambda name: known[name], default="")
    if not fewest or known[fewest] == groups:
        return caution(groups)
    words = caution(known[fewest])
    return words and f"For {fewest}: {words[0].lower()}{words[1:]}"


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _ends(interval: Interval) -> list[float | None]:
    return [_plain(interval.low), _plain(interval.high)]


def _left_out(rows: Iterable[Row]) -> dict[str, int]:
    """The number of cases without a score, and of those with only one empty mask, which are errors the mean hides."""
    rows = list(rows)
    return {
        "cases": len(rows),
        "only_prediction": sum(
            row.truth_samples == 0 and bool(row.prediction_samples) for row in rows
        ),
        "only_truth": sum(row.prediction_samples == 0 and bool(row.truth_samples) for row in rows),
    }


def _plain(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)
