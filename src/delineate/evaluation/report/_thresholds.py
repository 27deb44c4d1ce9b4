"""ROC, precision-recall and reliability curves of the probabilities, over all cases together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from delineate.evaluation.report._figures import COLOURS, NAMED, RULE, Plot, _panel, _svg
from delineate.evaluation.report._scores import between
from delineate.evaluation.report._words import number
from delineate.evaluation.table import Table
from delineate.metrics import RocCurve, precision_recall_curve, roc_curve

Draw = Callable[[Axes, np.ndarray, str], None]
"""Axes, parts summed over the cases, colour."""


RAISED = {ord(digit): raised for digit, raised in zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)}

LOW = 0.02
"""False positive rate of the masks below which a ROC curve has a logarithmic axis: it would hug a linear one."""


def thresholds(table: Table, scores: Mapping[str, Any], labels: Sequence[str]) -> list[Plot]:
    """ROC, precision-recall and reliability of up to six labels, one against the rest; those that have scores.

    scores: `table.scores()`.
    """
    drawings = (
        ("roc", "ROC curve", "false positive rate", "true positive rate (recall)", _roc,
         "One line a label, this label against all else, over the pixels or voxels of all cases together. The dot is "
         "where the masks lie. The figure is the area under the curve over all cases, AUROC, with its 95 % interval."),
        ("precision-recall", "Precision-recall curve", "recall", "precision", _precision_recall,
         "The dot is where the masks lie. The figure is the area under the curve over all cases, the average "
         "precision, with its 95 % interval."),
        ("reliability", "Reliability", "probability stated", "share that is the label", _reliability,
         "On the line, the predicted probability equals the observed share; below it, the model is overconfident. Each "
         "dot is a fifteenth of the range; its size shows the number of samples. The figure is the expected "
         "calibration error over all cases, with its 95 % interval."),
    )  # fmt: skip
    plots = []
    for curve, heading, across, up, draw, words in drawings:
        metric = next((m for m in table.metrics if table.traits[m].curve == curve), None)
        parts = {label: _summed(table, label, metric) for label in labels if metric}
        known = {label: part for label, part in parts.items() if part is not None}
        if metric is None or not known:
            continue
        figure, axes = _panel(3.4, 3.2)
        lies = {label: _masks(table, label) for label in known}
        low = _least([of["roc"][0] for of in lies.values()]) if curve == "roc" else None
        if curve != "precision-recall":
            line = np.linspace(0, 1, 2) if low is None else np.geomspace(low, 1, 50)
            axes.plot(line, line, color=RULE, linewidth=1)
        for colour, label in zip(NAMED, known, strict=False):
            draw(axes, known[label], COLOURS[colour])
            if curve != "reliability":
                x, y = lies[label][curve]
                x = x if low is None else max(x, low)  # at the left edge
                axes.plot(x, y, "o", markersize=5, color=COLOURS[colour], clip_on=False)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up)
        axes.set_box_aspect(1)
        if low is not None:
            axes.set(xscale="log", xlim=(low, 1.1))
            axes.xaxis.set_major_locator(LogLocator())
            axes.xaxis.set_major_formatter(lambda value, _: _power(value))
            axes.xaxis.set_minor_locator(NullLocator())
            words += " Most pixels or voxels are background, so the axis of the false positive rate is logarithmic."
        told = {label: _told(scores, label, metric) for label in known}
        if any(text == "–" for text in told.values()):
            words += " A dash: not defined, since the label is in the truth of none of the cases, or everywhere."
        keys = [(c, f"{label} {told[label]}") for c, label in zip(NAMED, known, strict=False)]
        drawn = _svg(figure, curve, *known)
        plots.append(Plot(heading, drawn, words, keys, curve.replace("-", "_")))
    return plots


def roc_points(table: Table) -> dict[str, RocCurve]:
    """Points of the ROC curve of each label over all cases together, as the report draws them."""
    metric = next((m for m in table.metrics if table.traits[m].curve == "roc"), None)
    parts = {label: _summed(table, label, metric) for label in table.labels if metric}
    curves = {label: roc_curve(part) for label, part in parts.items() if part is not None}
    return {
        label: RocCurve(*(values[_visible(curve)] for values in curve))
        for label, curve in curves.items()
        if not np.isnan(curve.true_positive_rate).any()
        and not np.isnan(curve.false_positive_rate).any()
    }


def _least(rates: Sequence[float]) -> float | None:
    """Where a logarithmic axis of these false positive rates starts; None where a linear one serves."""
    known = [rate for rate in rates if rate == rate]
    if not known or float(np.median(known)) >= LOW:
        return None
    middle = max(float(np.median(known)), 1e-5)
    return float(10.0 ** (math.floor(math.log10(middle)) - 1))


def _power(value: float) -> str:
    """A power of ten as it is read.

    >>> _power(0.001), _power(1.0)
    ('10⁻³', '1')
    """
    exponent = round(math.log10(value))
    return "10" + str(exponent).translate(RAISED) if exponent else "1"


def _summed(table: Table, label: str, metric: str) -> np.ndarray | None:
    parts = [tally.parts for tally in table.tallies(label, metric)]
    if not parts:
        return None
    total = np.asarray(np.sum(parts, axis=0, dtype=np.float64))
    return total if total.any() else None


def _masks(table: Table, label: str) -> dict[str, tuple[float, float]]:
    """Where the masks of all cases together lie on either curve; NaN, which is not drawn, where there is nothing."""
    rows = [row for row in table.rows_of(label) if row.tp is not None]
    tp, fp, fn, tn = (
        float(sum(getattr(row, name) or 0 for row in rows)) for name in ("tp", "fp", "fn", "tn")
    )
    recall = tp / (tp + fn) if tp + fn else np.nan
    alarms = fp / (fp + tn) if fp + tn else np.nan
    precision = tp / (tp + fp) if tp + fp else np.nan
    return {"roc": (alarms, recall), "precision-recall": (recall, precision)}


def _told(scores: Mapping[str, Any], label: str, metric: str) -> str:
    score = scores["labels"][label]["metrics"][metric]
    ends = between(score["pooled_interval"])
    return number(score["pooled"]) + (f" ({ends})" if ends != "–" else "")


def _roc(axes: Axes, parts: np.ndarray, colour: str) -> None:
    curve = roc_curve(parts)
    kept = _visible(curve)
    axes.plot(curve.false_positive_rate[kept], curve.true_positive_rate[kept], color=colour)


def _visible(curve: RocCurve) -> np.ndarray:
    """Which points lie a visible step apart on a linear or on a logarithmic axis."""
    false, true = curve.false_positive_rate, curve.true_positive_rate
    scaled = np.log10(np.maximum(false, 1e-6)) / 6 + 1
    return np.union1d(_apart(false, true), _apart(scaled, true))


def _precision_recall(axes: Axes, parts: np.ndarray, colour: str) -> None:
    curve = precision_recall_curve(parts)
    axes.plot(*_thinned(curve.recall, curve.precision), color=colour)


def _reliability(axes: Axes, parts: np.ndarray, colour: str) -> None:
    samples, confidence, correct = parts[:, parts[0] > 0]
    stated, true = confidence / samples, correct / samples
    axes.plot(stated, true, color=colour, linewidth=1.2, alpha=0.7)
    axes.scatter(
        stated, true, s=6 + 60 * np.sqrt(samples / samples.sum()), color=colour, linewidth=0
    )


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of a curve that lie a visible step apart, and its ends."""
    kept = _apart(x, y)
    return x[kept], y[kept]


def _apart(x: np.ndarray, y: np.ndarray, step: float = 0.002) -> np.ndarray:
    """The places of points that lie a step apart along a curve, and of its ends."""
    along = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.unique(np.floor(along / step), return_index=True)[1]
    return np.union1d(kept, [len(x) - 1])
