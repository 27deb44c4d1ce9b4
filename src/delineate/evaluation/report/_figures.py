"""Plots as SVG that takes the colours and the typeface of the page around it."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from delineate.evaluation.report._scores import named, unit_of
from delineate.evaluation.report._words import decimals, number, title
from delineate.evaluation.table import Table
from delineate.words import counted

INK, RULE, FIRST, SECOND = "#000001", "#000002", "#000003", "#000004"
NAMED = ("first", "second", "third", "fourth", "fifth", "sixth")
"""The page's colours for things that are told apart."""
COLOURS = {name: f"#{place:06x}" for place, name in enumerate(NAMED, start=3)}
PAGE = {INK: "currentColor", RULE: "var(--rule)"} | {c: f"var(--{n})" for n, c in COLOURS.items()}
"""Placeholders for the page's own colours, so that one drawing is right in light, in dark and on paper."""

STYLE: dict[Any, Any] = {
    "font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "delineate", "text.parse_math": False,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": RULE, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False,
    "xtick.color": RULE, "ytick.color": RULE, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
    "xtick.major.width": 0.8, "ytick.major.width": 0.8, "xtick.major.size": 3, "ytick.major.size": 0,
    "axes.grid": True, "axes.grid.axis": "y", "grid.color": RULE, "grid.linewidth": 0.6,
    "axes.axisbelow": True, "lines.linewidth": 1.6, "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
}  # fmt: skip
"""One quiet look for every plot."""

HOVER = "hover"
"""The id of dots that tell which case they are."""

DOTS = 1200
"""Dots in one plot at most: more are neither told apart nor worth the bytes."""


@dataclass(frozen=True)
class Plot:
    """A drawing, its title, and what it shows in words.

    key: what each colour stands for, as (name of the page's colour, meaning), where there are several.
    stem: the name of its own file, without its ending; "" for a plot that has none.
    """

    title: str
    svg: str
    words: str
    key: Sequence[tuple[str, str]] = ()
    stem: str = ""


def curves(path: Path, best: int | None = None) -> list[Plot]:
    """One plot per quantity of a training log: losses, validation scores, the learning rate.

    Args:
        path: CSV with a column "epoch"; "train/loss" and "val/loss" share a plot. Blank cells are left out.
        best: the epoch whose weights were kept, which is marked; None if it is not known.
    """
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    quantities: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in lines:
        epoch = _number(line.get("epoch"))
        for column, text in line.items():
            value = _number(text)
            if column in ("epoch", "seconds") or value is None or epoch is None:
                continue
            side, _, quantity = column.partition("/") if "/" in column else ("", "", column)
            quantities.setdefault(quantity, {}).setdefault(side, []).append((epoch, value))
    order = sorted(quantities, key=lambda q: (q == "lr", q != "loss"))  # the loss first
    return [_curve(quantity, quantities[quantity], best) for quantity in order]


def distribution(table: Table, metric: str, label: str) -> Plot:
    """How many cases have which score; their mean, and its interval."""
    values = np.array([score for _, score in table.of(label, metric) if score == score])
    low, high = table.interval(label, metric)
    within = (0.0, 1.0) if values.min() >= 0 and values.max() <= 1 else None
    figure, axes = _panel()
    if low == low:
        axes.axvspan(low, high, color=SECOND, alpha=0.25, linewidth=0)
    axes.hist(values, bins=25 if len(values) >= 50 else 12, range=within, color=FIRST, rwidth=0.86)
    axes.axvline(values.mean(), color=SECOND)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set(xlabel=_measured(table, metric), ylabel="cases")
    places = decimals(values)
    lower, middle, upper = (number(v, places) for v in np.percentile(values, [25, 50, 75]))
    worst = "highest" if table.traits[metric].lower_is_better else "lowest"
    extreme = number(values.max() if worst == "highest" else values.min(), places)
    words = (
        f"{counted(len(values), 'case')}: median {middle}, half of them between {lower} and {upper}, {worst} "
        f"{extreme}. The line is the mean" + (", the band its interval." if low == low else ".")
    )
    return Plot(
        f"{named(table, metric)} per case: {label}",
        _svg(figure, "distribution", metric, label),
        words,
    )


def by_size(table: Table, metric: str, label: str) -> Plot | None:
    """Score against the size of what is there; None where fewer than two cases have both."""
    pairs = sorted(
        (row.truth_size, score, row.case)
        for row, score in table.of(label, metric)
        if row.truth_size and score == score
    )
    if len(pairs) < 2:
        return None
    unit = next(row.unit for row, _ in table.of(label, metric))
    sizes = np.array([size for size, _, _ in pairs])
    values = np.array([score for _, score, _ in pairs])
    places = decimals(values)
    step = math.ceil(len(pairs) / DOTS)
    figure, axes = _panel()
    dots = axes.scatter(sizes[::step], values[::step], s=12, color=FIRST, alpha=0.6, linewidth=0)
    dots.set_gid(HOVER)
    words = f"Each dot is a case{f', every {step}th of {len(pairs)}' if step > 1 else ''}."
    if len(pairs) >= 25:
        fifths = np.array_split(np.arange(len(pairs)), 5)
        axes.plot(
            [np.median(sizes[f]) for f in fifths], [np.median(values[f]) for f in fifths],
            color=SECOND, marker="o", markersize=4,
        )  # fmt: skip
        words += (
            " The line is the median of each fifth of the cases: "
            f"{number(np.median(values[fifths[0]]), places)} for the smallest, "
            f"{number(np.median(values[fifths[-1]]), places)} for the largest."
        )
    _log_ticks(axes, sizes)
    if values.min() >= 0 and values.max() <= 1:
        axes.set_ylim(-0.03, 1.03)
    axes.set(xlabel=f"size in the truth, {unit}", ylabel=_measured(table, metric))
    names = [f"{case}: {number(score, places)}" for _, score, case in pairs[::step]]
    drawn = _svg(figure, "size", metric, label, names=names)
    return Plot(f"{named(table, metric)} by size: {label}", drawn, words)


def _curve(
    quantity: str, sides: Mapping[str, Sequence[tuple[float, float]]], best: int | None
) -> Plot:
    figure, axes = _panel()
    words, key = [], []
    # Validation in the strong colour: it is what is read. Training alone has it too.
    order = sorted(sides, key=lambda side: side == "train")
    for side, colour, name in zip(order, (FIRST, SECOND), ("first", "second"), strict=False):
        epochs, values = np.array(sides[side]).T
        marker = "o" if len(values) == 1 else ""
        axes.plot(epochs, values, color=colour, marker=marker, zorder=3 if colour == FIRST else 2)
        meaning = {"train": "training", "val": "validation"}.get(side, side)
        words.append(f"{meaning} from {values[0]:.3g} to {values[-1]:.3g}".strip())
        at_best = values[epochs == best]
        if at_best.size and quantity != "lr":
            words[-1] += f" ({at_best[0]:.3g} at the best epoch)"
        key.append((name, meaning))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set(xlabel="epoch")
    axes.margins(x=0.02)
    if best is not None and any(epoch == best for points in sides.values() for epoch, _ in points):
        axes.axvline(best, color=INK, linewidth=0.8, linestyle=(0, (3, 3)), alpha=0.6)
        words.append(f"the dashed line is the best epoch, {best}, whose weights were kept")
    heading = "Learning rate" if quantity == "lr" else title(quantity)
    if len(key) == 1 and key[0][1]:
        heading, key = f"{heading}, {key[0][1]}", []
    text = "; ".join(words)
    return Plot(
        heading, _svg(figure, "curve", quantity), text[:1].upper() + text[1:] + ".",
        key if len(key) > 1 else (), "training_curves",
    )  # fmt: skip


def _panel(width: float = 4.4, height: float = 2.6) -> tuple[Figure, Axes]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
    return figure, axes


def _measured(table: Table, metric: str) -> str:
    """A metric and its unit, for an axis."""
    unit = unit_of(table, metric)
    return f"{named(table, metric)}, {unit}" if unit else named(table, metric)


def _log_ticks(axes: Axes, sizes: np.ndarray) -> None:
    axes.set_xscale("log")
    narrow = sizes.max() < 200 * sizes.min()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_locator(NullLocator())


def _svg(figure: Figure, *place: str, names: Sequence[str] = ()) -> str:
    """The drawing as SVG to stand inside a page: its colours, its typeface, no address, no second use of an id.

    place: what tells this drawing from the others of the page.
    names: what the pointer is told over each dot of the collection whose gid is `HOVER`.
    """
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?)\swidth="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?)\sheight="[^"]*"', r"\1", text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    if names:
        text = _told(text, names)
    prefix = hashlib.sha256("/".join(place).encode()).hexdigest()[:8]
    text = re.sub(r'\sid="([^"]*)"', rf' id="p{prefix}-\1"', text)
    text = text.replace("xlink:href", "href").replace('href="#', f'href="#p{prefix}-')
    text = text.replace("url(#", f"url(#p{prefix}-")
    for placeholder, colour in PAGE.items():
        text = text.replace(placeholder, colour)
    return text.replace("<svg", '<svg aria-hidden="true"', 1).strip()


def _told(svg: str, names: Sequence[str]) -> str:
    """Each dot of the collection `HOVER` with its name, in order."""
    before, start, rest = svg.partition(f'<g id="{HOVER}">')
    dots = iter(names)
    named = re.sub(
        r"(<use [^>]*?)/>",
        lambda dot: f"{dot[1]}><title>{escape(next(dots))}</title></use>",
        rest,
        count=len(names),
    )
    return before + start + named


def _number(text: str | None) -> float | None:
    """A finite number, or None for anything else."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
