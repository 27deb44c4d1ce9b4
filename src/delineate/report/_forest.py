"""Scores of several groups of cases above each other, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from delineate.report._scores import between, unit_of
from delineate.report._words import decimals, number, title
from delineate.table import Table


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
    """Branches over one axis: its ticks as (place in percent, number), and the place of the mean over all cases."""

    title: str
    kind: str
    metric: str
    branches: tuple[Branch, ...]
    ticks: tuple[tuple[float | None, str], ...]
    reference: float | None


Parts = Mapping[str, Mapping[str, Any]]
"""Name of a kind of case -> "cases", "mean" and "interval", as in `table.scores()`."""


def by_label(table: Table, scores: Mapping[str, Any], metric: str) -> list[Forest]:
    """All labels above each other; none for fewer than three, which are as soon read in the table."""
    parts = {
        label: about["metrics"][metric]
        for label, about in scores["labels"].items()
        if label != "all" and metric in about["metrics"]
    }
    return _forests(table, metric, {"label": parts}, None, "") if len(parts) > 2 else []


def by_kind(table: Table, scores: Mapping[str, Any], metric: str, label: str) -> list[Forest]:
    """The thirds by size, and the kinds of case that each column tells apart, over one axis."""
    size = f"size of {label}"
    kinds = {
        "size" if kind == size else kind: {
            value: about["labels"][label][metric]
            for value, about in scores["subgroups"].get(kind, {}).items()
            if metric in about["labels"].get(label, {})
        }
        for kind in (size, *table.columns)
    }
    mean = scores["labels"][label]["metrics"].get(metric, {}).get("mean")
    return _forests(table, metric, kinds, mean, f": {label}")


def _forests(
    table: Table, metric: str, kinds: Mapping[str, Parts], mean: float | None, of: str
) -> list[Forest]:
    """One for each kind of which two or more have a score."""
    scored = {
        kind: {name: score for name, score in parts.items() if score["mean"] is not None}
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
            f"{title(metric)} by {kind}{of}",
            kind,
            title(metric) + (f", {unit}" if unit else ""),
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
