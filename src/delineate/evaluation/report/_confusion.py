"""The confusion matrix of a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.core import LabelSet
from delineate.evaluation.table import Table


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix over all cases, in shares. Each sample is counted once.

    names: "background", then the labels; a label that includes others is counted without them.
    samples: pixels or voxels; rows are the truth, columns the prediction.
    of_truth: rows are the truth, columns the prediction; a row adds up to 1.
    of_prediction: rows are the prediction, columns the truth; a row adds up to 1.
    """

    names: tuple[str, ...]
    samples: tuple[tuple[int, ...], ...]
    of_truth: tuple[tuple[float | None, ...], ...]
    of_prediction: tuple[tuple[float | None, ...], ...]


def confusion(table: Table, known: LabelSet | None = None) -> Confusion | None:
    """Summed over all cases: from a score that keeps the matrix, or from the counts of the only label; else None.

    known: says what the labels include.
    """
    labels = tuple(label for label in table.labels if label != "all")
    matrix = _kept(table, 1 + len(labels))
    if matrix is None and len(labels) == 1:
        matrix = _counted(table)
    if matrix is None or not matrix.any():
        return None
    names = [
        f"{name} without {', '.join(known[name].includes)}"
        if known and known[name].includes
        else name
        for name in labels
    ]
    samples = tuple(tuple(round(n) for n in row) for row in matrix.T)
    return Confusion(("background", *names), samples, _shares(matrix.T), _shares(matrix))


def _kept(table: Table, size: int) -> np.ndarray | None:
    """The matrix (prediction, truth) in the tallies of balanced accuracy."""
    tallies = table.tallies("all", "balanced_accuracy")
    fitting = [tally.parts for tally in tallies if tally.parts.shape == (size, size)]
    return np.sum(fitting, axis=0) if fitting and len(fitting) == len(tallies) else None


def _counted(table: Table) -> np.ndarray:
    counts = [
        (row.tn, row.fn, row.fp, row.tp)
        for row in table.rows
        if row.label != "all" and row.tp is not None
    ]
    return np.asarray(np.array(counts, np.float64).reshape(-1, 2, 2).sum(axis=0))


def _shares(matrix: np.ndarray) -> tuple[tuple[float | None, ...], ...]:
    return tuple(
        tuple(float(n / total) if total else None for n in row)
        for row, total in zip(matrix, matrix.sum(axis=1), strict=True)
    )
