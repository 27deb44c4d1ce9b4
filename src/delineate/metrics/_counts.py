"""The confusion matrix of a pair, from which all overlap metrics are computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Tally
from delineate.metrics._pair import remembered, same_layout

if TYPE_CHECKING:
    from delineate.core import LabelSet, Segmentation

CHUNK = 2**18
"""Samples counted at a time, so that they fit the CPU cache."""


@dataclass(frozen=True, eq=False)
class Counts:
    """The confusion matrix of the labels, without samples that the truth marks as ignored.

    matrix: (1 + label, 1 + label), prediction by truth, background first, then `names` in order. Each sample counts
        once: the row and column of a label that includes others stand for the rest of it, without these.
    member: (label, 1 + label), 1 for the rows and columns that are part of a label; None if labels exclude each other.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    member: np.ndarray | None = None

    @cached_property
    def tp(self) -> np.ndarray:
        """True positives, per label."""
        if self.member is None:
            return np.diagonal(self.matrix)[1:]
        return np.asarray((self.member @ self.matrix * self.member).sum(axis=1))

    @cached_property
    def fp(self) -> np.ndarray:
        """False positives, per label."""
        return np.asarray(self._each(self.matrix.sum(axis=1)) - self.tp)

    @cached_property
    def fn(self) -> np.ndarray:
        """False negatives, per label."""
        return np.asarray(self._each(self.matrix.sum(axis=0)) - self.tp)

    def _each(self, samples: np.ndarray) -> np.ndarray:
        """Convert counts per row or column of the matrix into counts per label."""
        return np.asarray(samples[1:] if self.member is None else self.member @ samples)

    @cached_property
    def tn(self) -> np.ndarray:
        """True negatives, per label."""
        return np.asarray(self.matrix.sum() - self.tp - self.fp - self.fn)

    def ratio(self, part: np.ndarray, whole: np.ndarray) -> dict[str, float]:
        """`part / whole` by label, as tallies; NaN where `whole` is 0, which gives the rules for empty masks."""
        parts = np.stack((part, whole), axis=1)
        return {
            name: Tally.of(p / w if w else math.nan, "ratio", both)
            for name, both, (p, w) in zip(self.names, parts, parts.tolist(), strict=True)
        }


@remembered
def counts(prediction: Segmentation, truth: Segmentation) -> Counts:
    """Count the samples of each pair of labels, in the order of the truth's labels.

    Labels are matched by name, so the two may use different values. A label that includes others is the union of
    them all. Samples that the prediction marks as ignored count as background: only the truth can exclude samples.

    Raises:
        ValueError: grids or names of labels differ, or a label map holds a value that is no label's.
    """
    prediction, truth = same_layout(prediction, truth)
    names = truth.labels.names
    size = len(names) + 3  # while counting: background, the labels, ignored, no label
    rows, columns = _places(prediction, names), _places(truth, names)
    matrix = np.zeros((size, size), np.int64)
    for f, t in _chunks(prediction.classes, truth.classes):
        f, t, lengths = _runs(f, t)
        code = _look_up(rows, f) * size + _look_up(columns, t)
        samples = np.bincount(code, lengths, size * size)  # float64, exact below 2**53
        matrix += samples.reshape(size, size).astype(np.int64)
    if matrix[-1].any():
        raise _stray("prediction", prediction)
    if matrix[:, -1].any():
        raise _stray("the truth", truth)
    matrix[0] += matrix[-2]
    return Counts(names, matrix[:-2, :-2], _member(truth.labels))


def _places(segmentation: Segmentation, names: tuple[str, ...]) -> np.ndarray:
    """The row of each value; the last entry also stands for all larger values."""
    labels = segmentation.labels
    places = np.full(max(label.value for label in labels.labels) + 2, len(names) + 2)
    places[0] = 0
    places[list(labels.ignored)] = len(names) + 1
    for place, name in enumerate(names, start=1):
        places[labels[name].value] = place
    return places


def _member(labels: LabelSet) -> np.ndarray | None:
    """Which rows of the matrix are part of each label; None where labels exclude each other."""
    if not labels.overlap:
        return None
    names = labels.names
    parts = [{name, *labels.parts(name)} for name in names]
    return np.array([[0, *(name in of for name in names)] for of in parts], np.int64)


def _chunks(prediction: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both arrays in pieces of the same samples."""
    prediction, truth = prediction.ravel(), truth.ravel()
    for start in range(0, prediction.size, CHUNK):
        yield prediction[start : start + CHUNK], truth[start : start + CHUNK]


def _runs(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run-length encoding: the two values and the length of each run; label maps have few runs."""
    new = np.ones(prediction.size, bool)
    np.not_equal(prediction[1:], prediction[:-1], out=new[1:])
    new[1:] |= truth[1:] != truth[:-1]
    starts = np.flatnonzero(new)
    return prediction.take(starts), truth.take(starts), np.diff(starts, append=prediction.size)


def _look_up(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    return places.take(values.astype(np.intp), mode="clip")


def _stray(what: str, segmentation: Segmentation) -> ValueError:
    labels = segmentation.labels
    known = {0, *labels.values, *labels.ignored}
    stray = [int(value) for value in np.unique(segmentation.classes) if value not in known]
    return ValueError(
        f"{what} holds the value {', '.join(map(str, stray[:5]))}, which no label has; the labels are "
        + ", ".join(f"{label.name} = {label.value}" for label in labels.labels)
        + "."
    )
