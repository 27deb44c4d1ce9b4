"""Match segments as panopticapi does; PQ, SQ and RQ are computed from the matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics._overlaps import Overlaps, overlaps
from delineate.metrics._pair import remembered

if TYPE_CHECKING:
    from delineate.core import Segmentation


@dataclass(frozen=True, eq=False)
class Panoptic:
    """By label, in the order of `names`: summed IoU of matches, true and false positives, false negatives."""

    names: tuple[str, ...]
    iou: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray


@remembered  # PQ, SQ and RQ ask for the same pair
def panoptic(prediction: Segmentation, truth: Segmentation) -> Panoptic:
    """Match the segments of each label (Kirillov et al., CVPR 2019; the rules of panopticapi).

    A segment is an instance, a connected component of a thing (corners connect, unlike in the lesion metrics) or the
    whole mask of stuff. Two segments of a label match if their IoU is above 0.5, which makes the match unique. Samples
    that the truth ignores are in no union. A predicted segment without a match is not a false positive if more than
    half of it is ignored or in a crowd.

    Raises:
        ValueError: grids or names of labels differ.
    """
    return matches(overlaps(prediction, truth), truth.labels.names)


def matches(pairs: Overlaps, names: tuple[str, ...]) -> Panoptic:
    """Match segments whose overlaps are known."""

    def count(places: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(places[places >= 0], weights, len(names))

    iou = pairs.iou
    matched = iou > 0.5
    judged = ~pairs.excused
    judged[pairs.f[matched]] = True
    labels = pairs.truth_places[pairs.t[matched]]
    tp = count(labels)
    return Panoptic(
        names,
        iou=count(labels, iou[matched]),
        tp=tp,
        fp=count(pairs.prediction_places[judged]) - tp,
        fn=count(pairs.truth_places) - tp,
    )
