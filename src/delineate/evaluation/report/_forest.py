"""Scores of several groups of cases above each other, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from delineate.evaluation.report._scores import between, named, unit_of
from delineate.evaluation.report._words import decimals, in_order, left_out, number
from delineate.evaluation.table import Table, size_column

FEWEST = 2
"""Cases of a kind that is drawn: one case is no kind."""


@dataclass(frozen=True)
class Branch:
    """One kind of case: its score in words, and where it lies on the axis, in percent of its width."""

    name: str
    cases: str
    score: str
    interval: str
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forest:
    """Branches over one axis: its ticks as (place in percent, number), and the place of the mean over all cases.

    left_out: what is not drawn, in words.
    """

    title: str
    kind: str
    metric: str
    branches: tuple[Branch, ...]
    ticks: tuple[tuple[float | None, str], ...]
    reference: float | None
    left_out: str = ""


Parts = Mapping[str, Mapping[str, Any]]
"""Name of a kind of case -> "cases", "mean" and "interval", as in `table.scores()`."""


def by_label(table: Table, scores: Mapping[str, Any], metric: str) -> list[Forest]:
    """All labels above each other; none for fewer than three, which are as soon read in the table."""
    parts = {
        label: _headline(table, metric, about["metrics"][metric])
        for label, about in scores["labels"].items()
        if label != "all" and metric in about["metrics"]
    }
    return _forests(table, metric, {"label": parts}, None, "", least=1) if len(parts) > 2 else []


def by_kind(table: Table, scores: Mapping[str, Any], metric: str, label: str) -> list[Forest]:
    """The thirds by size, and the kinds of case that each column tells apart, over one axis."""
    size = size_column(label)
    subgroups = {kind: scores["subgroups"].get(kind, {}) for kind in (size, *table.columns)}
    kinds = {
        "size" if kind == size else kind: {
            value: _headline(table, metric, parts[value]["labels"][label][metric])
            for value in in_order(parts)
            if metric in parts[value]["labels"].get(label, {})
        }
        for kind, parts in subgroups.items()
    }
    mean = _headline(table, metric, scores["labels"][label]["metrics"].get(metric, {})).get("mean")
    return _forests(table, metric, kinds, mean, f": {label}", least=FEWEST)


def _headline(table: Table, metric: str, score: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pooled score as what is read, where one case says little."""
    if not table.traits[metric].pooled_only or "pooled" not in score:
        return score
    return {**score, "mean": score["pooled"], "interval": score["pooled_interval"]}


def _forests(
    table: Table,
    metric: str,
    kinds: Mapping[str, Parts],
    mean: float | None,
    of: str,
    *,
    least: int,
) -> list[Forest]:
    """One for each kind of which two or more have a score over at least so many cases."""
    scored = {
        kind: {
            name: score
            for name, score in parts.items()
            if score["mean"] is not None and score["cases"] >= least
        }
        for kind, parts in kinds.items()
    }
    few = {
        kind: sum(0 < score["cases"] < least for score in parts.values())
        for kind, parts in kinds.items()
    }
    scored = {kind: parts for kind, parts in scored.items() if len(parts) > 1}
    known = [
        value
        for parts in scored.values()
        for score in parts.values()
        for value in (score["mean"], *score["interval"])
        if value is not None
    ]
    if not known:
        return []
    low, high, ticks = _axis(known, within=table.traits[metric].range)
    places = decimals(known)
    unit = unit_of(table, metric)

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - low) / (high - low), 2)

    return [
        Forest(
            f"{named(table, metric)} by {kind}{of}",
            kind,
            named(table, metric) + (f", {unit}" if unit else ""),
            tuple(
                Branch(
                    name, f"{score['cases']:,}", number(score["mean"], places),
                    between(score["interval"], places), place(score["mean"]),
                    *(place(end) for end in score["interval"]),
                )
                for name, score in parts.items()
            ),
            tuple((place(tick), f"{tick:g}") for tick in ticks),
            place(mean),
            left_out(few[kind]),
        )
        for kind, parts in scored.items()
    ]  # fmt: skip


def _axis(
    values: Sequence[float], within: tuple[float, float] | None
) -> tuple[float, float, list[float]]:
    """Round ends of an axis that holds all values, and its ticks."""
    low, high = min(values), max(values)
    if high - low < 1e-6:
        low, high = low - 0.05, high + 0.05
    ticks = [float(t) for t in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    if within is not None:
        ticks = [round(t, 9) for t in ticks if within[0] - 1e-9 <= t <= within[1] + 1e-9]
        return min(low, *ticks), max(high, *ticks), ticks
    return ticks[0], ticks[-1], ticks
