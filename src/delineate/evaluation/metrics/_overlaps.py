"""Which found object overlaps which true one, and by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from delineate.core import Label, LabelSet, Segmentation
from delineate.evaluation.metrics._objects import Segments, segments
from delineate.evaluation.metrics._pair import same_layout

BINS = 2**16
"""So many pairs of numbers fit two bytes, which OpenCV counts several times faster than NumPy."""

CHUNK = 2**22
"""Samples counted at a time: far from 2**24, where calcHist's float32 rounds."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Objects of one label on each other; sizes in samples, without what the truth ignores.

    prediction_places, truth_places: the place of each object's label in the truth's order; -1 for what is not judged:
        an object no sample of which is left, and a crowd.
    prediction_sizes, truth_sizes: of each object.
    excused: of each found object, whether more than half of it lies in what the truth ignores or a crowd of its label.
    f, t, n: (pair,), a found object, a true one of the same label, and the samples they share.
    """

    prediction_places: np.ndarray
    truth_places: np.ndarray
    prediction_sizes: np.ndarray
    truth_sizes: np.ndarray
    excused: np.ndarray
    f: np.ndarray
    t: np.ndarray
    n: np.ndarray

    def placed(self, places: Sequence[int]) -> Overlaps:
        """With places among other labels: `places` are those of the labels that were compared."""
        of = np.array([*places, -1])  # -1 is none, here as there
        return replace(
            self, prediction_places=of[self.prediction_places], truth_places=of[self.truth_places]
        )

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union of each pair."""
        union = self.prediction_sizes[self.f] + self.truth_sizes[self.t] - self.n
        return np.asarray(self.n / union)


def overlaps(prediction: Segmentation, truth: Segmentation, *, faces: bool = False) -> Overlaps:
    """Compare the objects of each label of the truth; with `faces`, corners do not connect.

    Raises:
        ValueError: grids or names of labels differ.
    """
    prediction, truth = same_layout(prediction, truth)
    valid = truth.valid
    return _joined(
        [
            overlaps_of(
                segments(prediction, layer, faces=faces), segments(truth, layer, faces=faces), valid
            ).placed([truth.labels.names.index(label.name) for label in layer])
            for layer in _layers(truth.labels)
        ]
    )


def _layers(labels: LabelSet) -> list[list[Label]]:
    """The labels in as few groups as hold no two that overlap: one, where no label includes another."""
    layers: list[tuple[set[int], list[Label]]] = []
    for label in labels:
        values = set(labels.values_of(label.name))
        taken, layer = next((known for known in layers if not known[0] & values), (set(), []))
        if not layer:
            layers.append((taken, layer))
        taken |= values
        layer.append(label)
    return [layer for _, layer in layers]


def _joined(layers: Sequence[Overlaps]) -> Overlaps:
    """The objects of all layers, numbered on; those of two layers share nothing."""
    if len(layers) == 1:
        return layers[0]
    first_found = np.cumsum([0, *(len(part.prediction_places) for part in layers)])
    first_true = np.cumsum([0, *(len(part.truth_places) for part in layers)])
    every = {name: np.concatenate([getattr(part, name) for part in layers]) for name in (
        "prediction_places", "truth_places", "prediction_sizes", "truth_sizes", "excused", "n"
    )}  # fmt: skip
    return Overlaps(
        **every,
        f=np.concatenate(
            [part.f + first for part, first in zip(layers, first_found, strict=False)]
        ),
        t=np.concatenate([part.t + first for part, first in zip(layers, first_true, strict=False)]),
    )


def overlaps_of(prediction: Segments, truth: Segments, valid: np.ndarray | None) -> Overlaps:
    """Compare objects that are numbered; `valid` (*spatial) is where the truth is judged, None for everywhere."""
    shape = (
        len(prediction.places),
        len(truth.places) + 1,
    )  # the truth's last number: what it ignores
    numbers = truth.numbers
    if valid is not None:
        numbers = np.where(valid, numbers, np.uint32(shape[1] - 1))
    f, t, n = _shared(prediction.numbers, numbers, shape)
    places, crowd = np.append(truth.places, -1), np.append(truth.crowd, False)

    void = t == shape[1] - 1
    same = (prediction.places[f] == places[t]) & (places[t] >= 0)
    excusing = void | (same & crowd[t])
    whole = np.bincount(f, n, shape[0])
    truth_sizes = np.bincount(t, n, shape[1])
    pairs = same & ~crowd[t]
    return Overlaps(
        prediction_places=np.where(whole > 0, prediction.places, -1),
        truth_places=np.where((truth_sizes > 0) & ~crowd, places, -1),
        prediction_sizes=whole - np.bincount(f[void], n[void], shape[0]),
        truth_sizes=truth_sizes,
        excused=2 * np.bincount(f[excusing], n[excusing], shape[0]) > whole,
        f=f[pairs],
        t=t[pairs],
        n=n[pairs],
    )


def _shared(
    prediction: np.ndarray, truth: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of numbers that occur, found and true, and how often each does."""
    bins = shape[0] * shape[1]
    dtype = np.uint16 if bins <= BINS else np.int64
    code = truth.astype(dtype) * shape[0] + prediction.astype(dtype)
    if bins <= BINS:
        counted = np.zeros(bins, np.int64)
        for rows in _rows(code):
            counted += cv2.calcHist([rows], [0], None, [bins], [0, bins]).ravel().astype(np.int64)
        codes = np.flatnonzero(counted)
        counts = counted[codes]
    else:
        codes, counts = np.unique(code, return_counts=True)
    t, f = np.divmod(codes.astype(np.intp), shape[0])
    return f, t, counts


def _rows(code: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows at a time; calcHist is slower by half on a single long one."""
    code = code.T if code.flags.f_contiguous else code
    rows = code.reshape(-1, code.shape[-1])
    step = max(1, CHUNK // rows.shape[1])
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
