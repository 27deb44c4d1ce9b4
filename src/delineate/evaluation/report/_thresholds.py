"""ROC, precision-recall and reliability curves of the probabilities, over all cases together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from delineate.evaluation.report._figures import COLOURS, NAMED, RULE, Plot, _panel, _svg
from delineate.evaluation.report._scores import between
from delineate.evaluation.report._words import number
from delineate.evaluation.table import Table
from delineate.metrics import precision_recall_curve, roc_curve

Draw = Callable[[Axes, np.ndarray, str], None]
"""Axes, parts summed over the cases, colour."""


def thresholds(table: Table, scores: Mapping[str, Any], labels: Sequence[str]) -> list[Plot]:
    """ROC, precision-recall and reliability of up to six labels; those that the table has scores for.

    scores: `table.scores()`.
    """
    drawings = (
        ("roc", "ROC curve", "false positive rate", "true positive rate (recall)", _roc,
         "The dot is where the masks lie. The area under the curve is the AUROC over all cases: "),
        ("precision-recall", "Precision-recall curve", "recall", "precision", _precision_recall,
         "The dot is where the masks lie. The area under the curve is the average precision over all cases: "),
        ("reliability", "Reliability", "probability stated", "share that is the label", _reliability,
         "On the line, the predicted probability equals the observed share; below it, the model is overconfident. Each "
         "dot is a fifteenth of the range; its size shows the number of samples. Expected calibration error over all "
         "cases: "),
    )  # fmt: skip
    plots = []
    for curve, heading, across, up, draw, words in drawings:
        metric = next((m for m in table.metrics if table.traits[m].curve == curve), None)
        parts = {label: _summed(table, label, metric) for label in labels if metric}
        known = {label: part for label, part in parts.items() if part is not None}
        if metric is None or not known:
            continue
        figure, axes = _panel(3.4, 3.2)
        if curve != "precision-recall":
            axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        key = tuple(zip(NAMED, known, strict=False))
        for colour, label in key:
            draw(axes, known[label], COLOURS[colour])
            if curve != "reliability":
                axes.plot(*_masks(table, label)[curve], "o", markersize=5, color=COLOURS[colour])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up, aspect="equal")
        told = "; ".join(_told(scores, label, metric, alone=len(known) == 1) for label in known)
        plots.append(
            Plot(
                heading, _svg(figure, curve, *known), f"{words}{told}.", key if len(key) > 1 else ()
            )
        )
    return plots


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


def _told(scores: Mapping[str, Any], label: str, metric: str, *, alone: bool) -> str:
    score = scores["labels"][label]["metrics"][metric]
    ends = between(score["pooled_interval"])
    words = number(score["pooled"]) + (f" (95 % interval {ends})" if ends != "–" else "")
    return words if alone else f"{label} {words}"


def _roc(axes: Axes, parts: np.ndarray, colour: str) -> None:
    curve = roc_curve(parts)
    axes.plot(*_thinned(curve.false_positive_rate, curve.true_positive_rate), color=colour)


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


def _thinned(x: np.ndarray, y: np.ndarray, step: float = 0.002) -> tuple[np.ndarray, np.ndarray]:
    """Points of a curve that lie a visible step apart, and its ends."""
    along = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.unique(np.floor(along / step), return_index=True)[1]
    kept = np.union1d(kept, [len(x) - 1])
    return x[kept], y[kept]
