"""Plots of scores in pairs."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from delineate.evaluation.compare import Comparison, Difference
from delineate.evaluation.compare.difference import TIE
from delineate.evaluation.report._difference import measured, signed
from delineate.evaluation.report._figures import (
    DOTS,
    FIRST,
    HOVER,
    RULE,
    SECOND,
    Plot,
    _panel,
    _svg,
)
from delineate.evaluation.report._scores import unit_of
from delineate.evaluation.report._words import decimals, number, whole
from delineate.words import counted


def scores_in_pairs(comparison: Comparison, d: Difference) -> list[Plot]:
    """Each case by its two scores, and the differences in order of size unless all are 0; none if no case has both."""
    found = comparison.paired(d)
    if not found:
        return []
    cases = [case for case, _, _ in found]
    against, name = np.array([scores for _, *scores in found]).T
    places = decimals([*against, *name])
    unit = unit_of(comparison.first, d.metric)
    axis = measured(comparison, d) + (f", {unit}" if unit else "")
    of = f"{measured(comparison, d)}, {whole(d.label)}"
    place = (d.against, d.name, d.label, d.metric)
    scatter = _scatter(cases, against, name, d, axis, of, places, place)
    if _alike(against, name):
        return [scatter]
    return [scatter, _ordered(cases, name - against, d, axis, of, places, place)]


def _alike(against: np.ndarray, name: np.ndarray) -> bool:
    """Whether no case tells the two apart."""
    return bool(np.all(np.abs(name - against) <= TIE))


def _scatter(
    cases: list[str],
    against: np.ndarray,
    name: np.ndarray,
    d: Difference,
    axis: str,
    of: str,
    places: int,
    place: tuple[str, ...],
) -> Plot:
    figure, axes = _panel(height=3.6)
    step = math.ceil(len(cases) / DOTS)
    low, high = float(min(against.min(), name.min())), float(max(against.max(), name.max()))
    if low >= 0 and high <= 1:
        low, high = (0.0, 1.0) if low < 0.5 else (math.floor(10 * low) / 10, 1.0)
    margin = 0.03 * (high - low or 1)
    ends = low - margin, high + margin
    axes.plot(ends, ends, color=RULE, linewidth=1.2, zorder=1)
    gain = (against - name if d.lower_is_better else name - against)[::step]
    dots = axes.scatter(
        against[::step], name[::step], s=14, alpha=0.65, linewidth=0,
        color=np.where(gain >= 0, FIRST, SECOND).tolist(),
    )  # fmt: skip
    dots.set_gid(HOVER)
    axes.set(xlim=ends, ylim=ends, xlabel=f"{d.against}: {axis}", ylabel=f"{d.name}: {axis}")
    axes.set_aspect("equal")
    axes.grid(visible=True, axis="both")
    for which in (axes.xaxis, axes.yaxis):
        which.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    told = [
        f"{case}: {number(a, places)}, {number(b, places)}"
        for case, a, b in zip(cases[::step], against[::step], name[::step], strict=True)
    ]
    above = "below" if d.lower_is_better else "above"
    alike = _alike(against, name)
    where = "all differences are 0" if alike else f"{above} the line {d.name} is better"
    words = (
        f"Each dot is a case{f', every {step}th of {len(cases):,}' if step > 1 else ''}; {where}."
    )
    return Plot(f"{of}: one against the other", _svg(figure, "scatter", *place, names=told), words)


def _ordered(
    cases: list[str],
    apart: np.ndarray,
    d: Difference,
    axis: str,
    of: str,
    places: int,
    place: tuple[str, ...],
) -> Plot:
    figure, axes = _panel(height=3.6)
    order = np.argsort(apart, kind="stable")
    if d.lower_is_better:
        order = order[::-1]
    if len(order) > DOTS:
        order = order[np.linspace(0, len(order) - 1, DOTS).round().astype(int)]
    gains = -apart[order] if d.lower_is_better else apart[order]
    colours = np.where(gains >= 0, FIRST, SECOND).tolist()
    axes.bar(range(len(order)), apart[order], width=1.0, color=colours, alpha=0.8, linewidth=0)
    axes.axhline(float(apart.mean()), color=RULE, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set(xlabel="cases, in order", ylabel=f"{d.name} − {d.against}: {axis}", xticks=[])
    axes.margins(x=0.01)
    lower, middle, upper = (signed(v, places) for v in np.percentile(apart, [25, 50, 75]))
    words = (
        f"{counted(len(cases), 'case')}, one bar each: median {middle}, half of them between {lower} and {upper}. "
        "The dashed line is the mean."
    )
    return Plot(f"{of}: difference of each case", _svg(figure, "ordered", *place), words)
