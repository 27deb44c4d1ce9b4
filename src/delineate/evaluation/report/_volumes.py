"""Volumes of a label, as predicted and in the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delineate.evaluation.report._figures import FIRST, HOVER, SECOND, Plot, _panel, _svg
from delineate.evaluation.report._scores import between
from delineate.evaluation.report._words import decimals, number
from delineate.evaluation.table import Table, sizes


@dataclass(frozen=True)
class Volumes:
    """The sizes of one label in words, each a mean over cases, and a plot of each case; None of one case."""

    label: str
    unit: str
    cases: str
    truth: str
    prediction: str
    difference: str
    interval: str
    limits: str
    plot: Plot | None


def volumes(table: Table, scores: Mapping[str, Any], labels: Sequence[str]) -> list[Volumes]:
    """The volumes in ml, or areas in cm², of the labels that have them; `scores` is `table.scores()`."""
    found = []
    for label in table.labels:
        of = scores["labels"][label].get("size")
        if of is None:
            continue
        places = decimals([of["truth"], of["prediction"]])
        plot = _bland_altman(table, of, label) if label in labels and of["cases"] > 1 else None
        found.append(
            Volumes(
                label, of["unit"], f"{of['cases']:,}", number(of["truth"], places),
                number(of["prediction"], places), number(of["difference"], places),
                between(of["interval"], places), between(of["limits_of_agreement"], places), plot,
            )
        )  # fmt: skip
    return found


def _bland_altman(table: Table, of: Mapping[str, Any], label: str) -> Plot:
    """Difference against mean of both sizes, a dot a case (Bland & Altman, Lancet 1986)."""
    known = sizes(table.rows_of(label))
    assert known is not None
    unit, differences = known.unit, known.prediction - known.truth
    figure, axes = _panel()
    axes.axhline(of["difference"], color=SECOND)
    for limit in of["limits_of_agreement"]:
        axes.axhline(limit, color=SECOND, linewidth=1, linestyle=(0, (4, 3)))
    dots = axes.scatter(
        (known.prediction + known.truth) / 2, differences, s=14, color=FIRST, alpha=0.7, linewidth=0
    )
    dots.set_gid(HOVER)
    axes.set(xlabel=f"mean of prediction and truth, {unit}", ylabel=f"prediction − truth, {unit}")
    axes.margins(x=0.05, y=0.12)
    places = decimals([*known.prediction, *known.truth])
    names = [
        f"{row.case}: predicted {number(found, places)}, truth {number(true, places)} {unit}"
        for row, found, true in zip(known.rows, known.prediction, known.truth, strict=True)
    ]
    what = "Volume" if unit == "ml" else "Area"
    words = (
        "Each dot is a case. The line is the mean difference, the dashed lines are the limits of agreement. "
        "Above 0 the prediction is too large."
    )
    drawn = _svg(figure, "agreement", label, names=names)
    stem = "volumes" if unit == "ml" else "areas"
    return Plot(f"{what}, prediction and truth: {label}", drawn, words, stem=stem)
