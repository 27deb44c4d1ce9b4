"""One confusion matrix per pair, from which every overlap metric is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from delineate.core import Segmentation
from delineate.metrics._pair import check_pair
from delineate.metrics._tally import Tally

SMALL = 16
"""A pair of values below it fits in one byte, and OpenCV counts bytes several times faster than NumPy."""

CHUNK = 2**18
"""Samples counted at a time: they stay in the cache, and far from 2**24, where calcHist's float32 rounds."""


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each label was found on each label; samples the truth marks to be ignored are left out.

    matrix: (1 + label, 1 + label), found by truth, background first, then `names` in order.
    """

    names: tuple[str, ...]
    matrix: np.ndarray

    @property
    def tp(self) -> np.ndarray:
        """Samples rightly found, per label."""
        return np.diagonal(self.matrix)[1:]

    @property
    def fp(self) -> np.ndarray:
        """Samples found that are not there, per label."""
        return np.asarray(self.matrix.sum(axis=1)[1:] - self.tp)

    @property
    def fn(self) -> np.ndarray:
        """Samples missed, per label."""
        return np.asarray(self.matrix.sum(axis=0)[1:] - self.tp)

    @property
    def tn(self) -> np.ndarray:
        """Samples rightly left alone, per label."""
        return np.asarray(self.matrix.sum() - self.tp - self.fp - self.fn)

    def ratio(self, part: np.ndarray, whole: np.ndarray) -> dict[str, float]:
        """`part / whole` by label, each a tally; NaN where `whole` is 0, from which the whole empty rule follows."""
        return {
            name: Tally("ratio", (p, w)) for name, p, w in zip(self.names, part, whole, strict=True)
        }


@lru_cache(maxsize=1)  # segmentations hash by identity, and every metric asks for the same pair
def counts(found: Segmentation, truth: Segmentation) -> Counts:
    """Count each pair of labels, in the order of the truth's labels.

    Labels are matched by name, so the two may use different values. What `found` itself marks as ignored counts
    as background: only the truth says where nothing is judged.

    Raises:
        ValueError: grids or names of labels differ, or a label map holds a value that is no label's.
    """
    check_pair(found, truth)
    names = truth.labels.names
    size = len(names) + 3  # while counting: background, the labels, ignored, no label
    rows, columns = _places(found, names), _places(truth, names)
    matrix = np.zeros((size, size), np.int64)
    for f, t in _chunks(found.classes, truth.classes):
        if f.max() < SMALL and t.max() < SMALL:
            np.add.at(matrix, np.ix_(rows[:SMALL], columns[:SMALL]), _joint(f, t))
        else:
            code = _look_up(rows, f) * size + _look_up(columns, t)
            matrix += np.bincount(code, minlength=size * size).reshape(size, size)
    if matrix[-1].any():
        raise _stray("found", found)
    if matrix[:, -1].any():
        raise _stray("the truth", truth)
    matrix[0] += matrix[-2]
    return Counts(names, matrix[:-2, :-2])


def _places(segmentation: Segmentation, names: tuple[str, ...]) -> np.ndarray:
    """The row of each value; the last entry stands for itself and every value beyond."""
    labels = segmentation.labels
    places = np.full(max(SMALL, max(label.value for label in labels.labels) + 2), len(names) + 2)
    places[0] = 0
    places[list(labels.ignored)] = len(names) + 1
    for place, name in enumerate(names, start=1):
        places[labels[name].value] = place
    return places


def _chunks(found: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Both arrays in pieces, sample by sample in one order: the one in which they lie in memory, if they agree."""
    if found.flags.f_contiguous and truth.flags.f_contiguous:
        found, truth = found.T, truth.T
    found, truth = found.ravel(), truth.ravel()
    for start in range(0, found.size, CHUNK):
        yield found[start : start + CHUNK], truth[start : start + CHUNK]


def _joint(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Joint histogram (SMALL, SMALL) of two runs of values below SMALL."""
    code = found.astype(np.uint8) * np.uint8(SMALL)
    code += truth.astype(np.uint8, copy=False)
    joint = cv2.calcHist([code], [0], None, [SMALL * SMALL], [0, SMALL * SMALL])
    return joint.reshape(SMALL, SMALL).astype(np.int64)


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
