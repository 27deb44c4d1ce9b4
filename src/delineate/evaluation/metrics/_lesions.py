"""Lesions detected by the rules of LiTS, from which lesion-wise recall, precision and F1 are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from delineate.core import Segmentation
from delineate.evaluation.metrics._overlaps import Overlaps, overlaps
from delineate.evaluation.metrics._pair import remembered
from delineate.evaluation.metrics._tally import Tally


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
