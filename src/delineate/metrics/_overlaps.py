"""Which found object overlaps which true one, and by how much; and the lesions that are detected by that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from delineate.metrics import Tally
from delineate.metrics._objects import Segments, segments
from delineate.metrics._pair import remembered, same_layout

if TYPE_CHECKING:
    from delineate.core import Label, LabelSet, Segmentation

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


@dataclass(frozen=True, eq=False)
class Lesions:
    """By label, in the order of `names`: how many lesions were detected, found, and are true."""

    names: tuple[str, ...]
    detected: np.ndarray
    prediction: np.ndarray
    true: np.ndarray

    def ratio(self, part: np.ndarray, whole: np.ndarray) -> dict[str, float]:
        """`part / whole` by label, each a tally; NaN where `whole` is 0."""
        return {
            name: Tally("ratio", (p, w)) for name, p, w in zip(self.names, part, whole, strict=True)
        }


@remembered  # recall, precision and F1 ask for the same pair
def lesions(prediction: Segmentation, truth: Segmentation, iou: float) -> Lesions:
    """Detect the lesions of each thing by the rules of LiTS (Bilic et al., Medical Image Analysis 2023).

    A lesion is an instance, or a component whose samples share faces. True lesions that overlap the same found one
    most are merged; each found lesion goes to the true one it overlaps most, and those that go to one are merged. A
    merged pair is one detection if its IoU is above `iou`: a lesion found in pieces costs precision, several found
    as one cost recall. Equal overlaps merge too, so that the order of lesions does not matter. A found lesion of which
    more than half lies in what the truth ignores, or in a crowd, counts only where it detects.

    Raises:
        ValueError: `iou` is not in [0, 1), no label is a thing, or grids or names of labels differ.
    """
    if not 0 <= iou < 1:
        raise ValueError(f"iou is {iou}; lesions are detected above an IoU from 0 to below 1.")
    things = [place for place, label in enumerate(truth.labels) if label.kind == "thing"]
    if not things:
        raise ValueError(
            f"lesions are counted one by one, but the labels {', '.join(truth.labels.names)} are all stuff; "
            "give the lesions' label the kind thing."
        )
    pairs = overlaps(prediction, truth, faces=True)
    group_prediction, group_true = _groups(pairs)
    size = 1 + int(max(group_prediction.max(), group_true.max()))
    together = group_prediction[pairs.f] == group_true[pairs.t]
    inter = np.bincount(group_prediction[pairs.f[together]], pairs.n[together], size)
    union = (
        np.bincount(group_prediction, pairs.prediction_sizes, size)
        + np.bincount(group_true, pairs.truth_sizes, size)
        - inter
    )
    detected = inter > iou * union
    places = np.full(size, -1)
    places[group_true] = pairs.truth_places  # one label in each group

    def count(places: np.ndarray) -> np.ndarray:
        return np.bincount(places[places >= 0], minlength=len(truth.labels))[things]

    judged = ~pairs.excused | detected[group_prediction]
    return Lesions(
        tuple(truth.labels.names[place] for place in things),
        detected=count(places[detected]),
        prediction=count(pairs.prediction_places[judged]),
        true=count(pairs.truth_places),
    )


def _groups(pairs: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """The group of each found lesion, and of each true one: merged lesions share one, and so do those matched."""
    merged, _ = _join(
        pairs.t, pairs.f, pairs.n, len(pairs.truth_places), len(pairs.prediction_places)
    )
    codes, inverse = np.unique(pairs.f * (1 + merged.max()) + merged[pairs.t], return_inverse=True)
    shared = np.bincount(inverse, pairs.n)
    f, m = np.divmod(codes, 1 + merged.max())
    group_prediction, group_merged = _join(
        f, m, shared, len(pairs.prediction_places), 1 + int(merged.max())
    )
    return group_prediction, group_merged[merged]


def _join(
    left: np.ndarray, right: np.ndarray, n: np.ndarray, lefts: int, rights: int
) -> tuple[np.ndarray, np.ndarray]:
    """Groups of the left and of the right when each left one goes to the right one with which it shares most."""
    most = np.zeros(lefts)
    np.maximum.at(most, left, n)
    edge = n == most[left]
    nodes = left[edge], lefts + right[edge]
    graph = coo_array((np.ones(len(nodes[0])), nodes), shape=(lefts + rights, lefts + rights))
    _, group = connected_components(graph, directed=False)
    return group[:lefts], group[lefts:]
