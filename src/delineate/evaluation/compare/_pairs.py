"""The scores that two tables have of the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from delineate.evaluation.metrics import Traits
from delineate.evaluation.table import Row, Table


class Both(NamedTuple):
    """A case and its two scores, perhaps NaN: that against which is compared, and that which is.

    nothing: whether nothing was found where nothing is, on either side.
    """

    case: str
    group: str
    scores: tuple[float, float]
    nothing: tuple[bool, bool]


def both_scores(against: Table, name: Table, label: str, metric: str) -> list[Both]:
    """The cases that have such a score in both tables, in the order of the first."""
    others = {row.case: (row, score) for row, score in name.of(label, metric)}
    return [
        Both(row.case, row.group, (score, others[row.case][1]), (_nothing(row), _nothing(others[row.case][0])))
        for row, score in against.of(label, metric)
        if row.case in others
    ]  # fmt: skip


def paired(both: Sequence[Both], traits: Traits) -> list[tuple[Both, tuple[float, float]]]:
    """The cases that can be compared, with the scores to compare: of signed errors the size.

    Who rightly finds nothing where the other finds something has the best score there is.
    """
    found = []
    for of in both:
        a, b = of.scores
        scores = (
            traits.best if a != a and b == b and of.nothing[0] else float(a),
            traits.best if b != b and a == a and of.nothing[1] else float(b),
        )
        if scores[0] == scores[0] and scores[1] == scores[1]:
            found.append((of, (abs(scores[0]), abs(scores[1])) if traits.signed else scores))
    return found


def _nothing(row: Row) -> bool:
    return row.truth_samples == 0 == row.prediction_samples
