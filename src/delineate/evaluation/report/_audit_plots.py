"""Plots of the sizes of objects and of the intensities of images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from delineate.audit import Audit, CaseFacts
from delineate.evaluation.report._figures import (
    COLOURS,
    DOTS,
    FIRST,
    NAMED,
    SECOND,
    Plot,
    _log_ticks,
    _panel,
    _svg,
)

LOW, MIDDLE, HIGH = 1, 4, 7
"""The 0.5th, 50th and 99.5th percentile among those that are kept."""

WIDE = 30.0
"""The axis is logarithmic if the widest range is more than so many times the median range."""


def plots(audit: Audit, labels: Sequence[str]) -> list[Plot]:
    """The sizes of the objects of each label by split, and the intensities of each channel by case."""
    cases = [case for case in audit.cases if case.image]
    found = [_sizes(cases, label, list(audit.splits)) for label in labels]
    channels = max((case.image.channels for case in cases if case.image), default=0)
    found += [
        _intensities(cases, channel, channels) for channel in range(min(channels, len(NAMED)))
    ]
    return [plot for plot in found if plot is not None]


def figure(value: float | None) -> str:
    """A number with four significant digits, or without decimals from 1,000 on.

    >>> figure(12333.2), figure(2.63), figure(None)
    ('12,333', '2.63', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _sizes(cases: Sequence[CaseFacts], label: str, splits: Sequence[str]) -> Plot | None:
    """The cumulative distribution of the sizes of objects, for each split."""
    sizes: dict[str, np.ndarray] = {}
    unit = cases[0].size_unit if cases else ""
    for split in splits[: len(NAMED)]:
        found = [size for case in cases if case.split == split for size in case.sizes(label)]
        if found:
            sizes[split] = np.sort(found)
    if not sizes:
        return None
    drawing, axes = _panel()
    for (_, values), name in zip(sizes.items(), NAMED, strict=False):
        step = math.ceil(len(values) / DOTS)
        parts = np.arange(1, len(values) + 1) / len(values)
        axes.step(values[::step], 100 * parts[::step], where="post", color=COLOURS[name])
    every = np.concatenate(list(sizes.values()))
    _log_ticks(axes, every)
    axes.set(xlabel=f"size of an object, {unit}", ylabel="% are not larger", ylim=(0, 103))
    words = "; ".join(
        f"{split}: {len(values):,} {'object' if len(values) == 1 else 'objects'}, half of them below "
        f"{figure(float(np.median(values)))} {unit}"
        for split, values in sizes.items()
    )
    key = tuple(zip(NAMED, sizes, strict=False))
    return Plot(
        f"Sizes: {label}", _svg(drawing, "sizes", label), words[:1].upper() + words[1:] + ".", key
    )


def _intensities(cases: Sequence[CaseFacts], channel: int, channels: int) -> Plot | None:
    """Median and range of each case, from the darkest case to the brightest."""
    rows = [
        [case.image.quantiles[channel][i] for i in (LOW, MIDDLE, HIGH)]
        for case in cases
        if case.image and channel < case.image.channels
    ]
    if not rows:
        return None
    low, middle, high = np.array(sorted(rows, key=lambda row: (row[1], row[2]))).T
    step = math.ceil(len(middle) / DOTS)
    place = np.arange(len(middle))[::step]
    drawing, axes = _panel()
    if np.max(high - low) > WIDE * max(float(np.median(high - low)), 1e-9):
        axes.set_yscale("symlog", linthresh=max(float(np.quantile(high, 0.05)), 1.0))
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.vlines(place, low[::step], high[::step], color=FIRST, alpha=0.35, linewidth=_width(place))
    axes.plot(place, middle[::step], ".", color=SECOND, markersize=2.5)
    _cases_axis(axes)
    name = f"channel {channel + 1}" if channels > 1 else "all images"
    words = (
        f"Each line is a case, from the 0.5th to the 99.5th percentile; the dot is its median. Medians from "
        f"{figure(middle.min())} to {figure(middle.max())}, upper ends from {figure(high.min())} to "
        f"{figure(high.max())}."
    )
    return Plot(f"Intensities: {name}", _svg(drawing, "intensities", str(channel)), words)


def _width(place: np.ndarray) -> float:
    return float(np.clip(240 / max(len(place), 1), 0.4, 4))


def _cases_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel="cases, by their median", ylabel="intensity")
