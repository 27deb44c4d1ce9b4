"""What a report shows of image-level labels: curves, decisions, sentences, and the most confident errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from delineate.evaluation.report._figures import COLOURS, NAMED, RULE, Plot, _panel, _svg
from delineate.evaluation.report._gallery import Look, Show, image_look
from delineate.evaluation.report._scores import between, rate
from delineate.evaluation.report._words import number
from delineate.evaluation.table import Row, Table
from delineate.metrics import by_level
from delineate.words import counted

BINS = 10
"""Of the reliability diagram, as of `image_ece`."""


@dataclass(frozen=True)
class Decisions:
    """The confusion counts of one label over images; unknown: images whose truth is not known."""

    label: str
    tp: int
    fn: int
    fp: int
    tn: int
    unknown: int


def is_image_level(table: Table) -> bool:
    """Whether the table is of image-level labels."""
    return any(row.image_prediction is not None for row in table.rows)


def decisions(table: Table) -> list[Decisions]:
    """The confusion counts of each label, at the threshold of the task."""
    found = []
    for label in table.labels:
        rows = table.rows_of(label)
        if any(row.image_prediction is not None for row in rows):
            pairs = [(row.image_prediction, row.image_truth) for row in rows]
            ways = ((True, True), (False, True), (True, False), (False, False))
            tp, fn, fp, tn = (pairs.count(way) for way in ways)
            unknown = len(rows) - (tp + fn + fp + tn)
            found.append(Decisions(label, tp, fn, fp, tn, unknown))
    return found


def image_sentences(table: Table, scores: Mapping[str, Any], *, unseen: bool) -> dict[str, str]:
    """The result of each label as sentences: counts, rates and the area under the ROC curve."""
    sentences = {}
    for of in decisions(table):
        rows = [r for r in table.rows_of(of.label) if r.image_truth is not None]
        there = [row for row in rows if row.image_truth]
        absent = [row for row in rows if not row.image_truth]
        groups = len({row.group for row in rows})
        where = counted(len(rows), "unseen image" if unseen else "image")
        where += f" of {counted(groups, 'group')}" if groups != len(rows) else ""
        words = [f"Of {where}, {len(there):,} show {of.label} and {len(absent):,} do not."]
        if of.unknown:
            more = "more image" if of.unknown == 1 else "more images"
            words.append(f"The truth of {of.unknown:,} {more} is not known.")
        for what, part, which in (
            ("It was recognised", there, "that show it"),
            ("It was falsely predicted", absent, "that do not"),
        ):
            if part:
                shown = [bool(row.image_prediction) for row in part]
                words.append(
                    f"{what} in {sum(shown) or 'none'} of the {len(part):,} {which}{rate(shown, part)}."
                )
        area = scores["labels"][of.label]["metrics"].get("image_auroc", {})
        if area.get("pooled") is not None:
            ends = between(area["pooled_interval"])
            sure = f" (95 % interval {ends})" if ends != "–" else ""
            words.append(f"The area under the ROC curve is {number(area['pooled'])}{sure}.")
        sentences[of.label] = " ".join(words)
    return sentences


Draw = Callable[[Axes, Sequence[Row], str], None]


def image_curves(table: Table, labels: Sequence[str]) -> list[Plot]:
    """ROC, precision-recall and reliability of up to six labels, each image counted once."""
    known = {
        label: [
            row
            for row in table.rows_of(label)
            if row.image_truth is not None and row.image_probability is not None
        ]
        for label in labels
    }
    both = {k: r for k, r in known.items() if len({row.image_truth for row in r}) == 2}
    drawings: tuple[tuple[str, str, str, str, Draw, Mapping[str, list[Row]], str], ...] = (
        ("image-roc", "ROC curve", "1 − specificity", "sensitivity", _roc, both,
         "Each step is an image. The dot is the operating point: what the task decides at its threshold."),
        ("image-pr", "Precision-recall curve", "sensitivity (recall)", "precision", _precision_recall, both,
         "The dot is the operating point: what the task decides at its threshold."),
        ("image-reliability", "Reliability", "probability stated", "share of images that show it", _reliability,
         {k: r for k, r in known.items() if r},
         "On the line, the predicted probability equals the observed share; below it, the model is overconfident. Each "
         "dot is a tenth of the range; its size shows the number of images."),
    )  # fmt: skip
    plots = []
    for stem, heading, across, up, draw, rows, words in drawings:
        if not rows:
            continue
        figure, axes = _panel(3.4, 3.2)
        if draw is not _precision_recall:
            axes.plot([0, 1], [0, 1], color=RULE, linewidth=1)
        key = tuple(zip(NAMED, rows, strict=False))
        for colour, label in key:
            draw(axes, rows[label], COLOURS[colour])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up, aspect="equal")
        svg = _svg(figure, stem, *rows)
        file = {"image-roc": "roc", "image-pr": "precision_recall"}.get(stem, "reliability")
        plots.append(Plot(heading, svg, words, key if len(key) > 1 else (), file))
    return plots


def confident_errors(table: Table, show: Show, count: int) -> dict[str, list[Look]]:
    """Images of the most confident misses and false alarms, over all labels, each with its label and probability."""
    wrong = [
        row
        for row in table.rows
        if row.image_truth is not None
        and row.image_prediction is not None
        and row.image_prediction != row.image_truth
    ]
    missed = sorted((r for r in wrong if r.image_truth), key=lambda r: r.image_probability or 0)
    alarms = sorted(
        (r for r in wrong if not r.image_truth), key=lambda r: -(r.image_probability or 0)
    )
    found = {
        "Missed, the most confident first": [_look(row, show) for row in missed[:count]],
        "False alarms, the most confident first": [_look(row, show) for row in alarms[:count]],
    }
    return {heading: looks for heading, looks in found.items() if looks}


def _look(row: Row, show: Show) -> Look:
    said = "" if row.image_probability is None else f", probability {number(row.image_probability)}"
    truth = "shows it" if row.image_truth else "does not show it"
    return image_look(row.case, row.group, row.label, f"{truth}{said}", show)


def _operating_point(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Sensitivity, 1 - specificity and precision of the decisions; NaN is not drawn."""
    said = np.array([bool(row.image_prediction) for row in rows])
    there = np.array([bool(row.image_truth) for row in rows])
    precision = there[said].mean() if said.any() else np.nan
    return float(said[there].mean()), float(said[~there].mean()), float(precision)


def _steps(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """False and true positives as the threshold is lowered, from none."""
    parts = [np.array([1.0, row.image_probability or 0.0, bool(row.image_truth)]) for row in rows]
    absent, present = by_level(parts, np.ones((1, len(parts))))
    return tuple(np.append(0, of[0, ::-1].cumsum()) for of in (absent, present))  # type: ignore[return-value]


def _roc(axes: Axes, rows: Sequence[Row], colour: str) -> None:
    false, true = _steps(rows)
    axes.plot(false / false[-1], true / true[-1], color=colour)
    sensitivity, alarms, _ = _operating_point(rows)
    axes.plot(alarms, sensitivity, "o", markersize=5, color=colour)


def _precision_recall(axes: Axes, rows: Sequence[Row], colour: str) -> None:
    false, true = (of[1:] for of in _steps(rows))
    axes.plot(true / true[-1], true / (true + false), color=colour)
    sensitivity, _, precision = _operating_point(rows)
    axes.plot(sensitivity, precision, "o", markersize=5, color=colour)


def _reliability(axes: Axes, rows: Sequence[Row], colour: str) -> None:
    stated = np.array([row.image_probability or 0.0 for row in rows])
    there = np.array([bool(row.image_truth) for row in rows])
    place = np.minimum((stated * BINS).astype(int), BINS - 1)
    bins = np.unique(place)
    x, y = (np.array([of[place == i].mean() for i in bins]) for of in (stated, there))
    share = np.array([(place == i).mean() for i in bins])
    axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.7)
    axes.scatter(x, y, s=6 + 60 * np.sqrt(share), color=colour, linewidth=0)
