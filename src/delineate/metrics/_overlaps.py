"""Overlaps between predicted and true objects, and the detection of lesions."""

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
"""The largest number of pairs in two bytes, which OpenCV counts several times faster than NumPy."""

CHUNK = 2**22
"""Samples counted at a time; well below 2**24, where calcHist's float32 rounds."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Overlaps of objects of the same label; sizes in samples, without those that the truth ignores.

    prediction_places, truth_places: the index of each object's label in the truth's order; -1 for an object that does
        not count: a crowd, or one without samples left.
    prediction_sizes, truth_sizes: of each object.
    excused: of each predicted object, whether more than half of it lies in ignored samples or a crowd of its label.
    f, t, n: (pair,), a predicted object, a true one of the same label, and the size of their intersection.
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
        """The overlaps with other label indices: `places` has the new index of each label compared."""
        of = np.array([*places, -1])  # -1 stays -1
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
    """Split the labels into groups without overlap; a single group if no label includes another."""
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
    """Concatenate the objects of all layers, with consecutive numbers; layers have no common pairs."""
    if len(layers) == 1:
        return layers[0]
    first_predicted = np.cumsum([0, *(len(part.prediction_places) for part in layers)])
    first_true = np.cumsum([0, *(len(part.truth_places) for part in layers)])
    every = {name: np.concatenate([getattr(part, name) for part in layers]) for name in (
        "prediction_places", "truth_places", "prediction_sizes", "truth_sizes", "excused", "n"
    )}  # fmt: skip
    return Overlaps(
        **every,
        f=np.concatenate(
            [part.f + first for part, first in zip(layers, first_predicted, strict=False)]
        ),
        t=np.concatenate([part.t + first for part, first in zip(layers, first_true, strict=False)]),
    )


def overlaps_of(prediction: Segments, truth: Segments, valid: np.ndarray | None) -> Overlaps:
    """Compare numbered objects; `valid` (*spatial) marks the samples that count, None for all."""
    # the truth's last number stands for ignored samples
    shape = len(prediction.places), len(truth.places) + 1
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
    """The pairs of numbers that occur, predicted and true, and how often each occurs."""
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
    """Some rows at a time; calcHist takes twice as long on a single long row."""
    code = code.T if code.flags.f_contiguous else code
    rows = code.reshape(-1, code.shape[-1])
    step = max(1, CHUNK // rows.shape[1])
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


@dataclass(frozen=True, eq=False)
class Lesions:
    """By label, in the order of `names`: the number of detected, predicted and true lesions."""

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
    """Match the lesions of each thing by the rules of LiTS (Bilic et al., Medical Image Analysis 2023).

    A lesion is an instance, or a component connected over faces. Each true lesion is assigned to the predicted one it
    overlaps most, and true lesions with the same one are merged. Then each predicted lesion is assigned to the merged
    true lesion it overlaps most, and predicted lesions with the same one are merged. A merged pair is one detection if
    its IoU is above `iou`: a lesion predicted in pieces lowers precision, several predicted as one lower recall. Equal
    overlaps merge too, so that the order of lesions does not matter. A predicted lesion of which more than half is
    ignored by the truth, or in a crowd, counts only if it is a detection.

    Raises:
        ValueError: `iou` is not in [0, 1), no label is a thing, or grids or names of labels differ.
    """
    if not 0 <= iou < 1:
        raise ValueError(f"iou is {iou}; expected a number from 0 to below 1.")
    things = [place for place, label in enumerate(truth.labels) if label.kind == "thing"]
    if not things:
        raise ValueError(
            f"lesions need a label of the kind thing, but the labels {', '.join(truth.labels.names)} are all stuff. "
            "Give the lesions' label the kind thing."
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
    """The group of each predicted and of each true lesion: merged and matched lesions have the same group."""
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
    """Groups of left and right objects, if each left object joins the right object that it overlaps most."""
    most = np.zeros(lefts)
    np.maximum.at(most, left, n)
    edge = n == most[left]
    nodes = left[edge], lefts + right[edge]
    graph = coo_array((np.ones(len(nodes[0])), nodes), shape=(lefts + rights, lefts + rights))
    _, group = connected_components(graph, directed=False)
    return group[:lefts], group[lefts:]
