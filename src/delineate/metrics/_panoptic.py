"""Segments matched as panopticapi does, from which PQ, SQ and RQ are read."""

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
    """By label, in the order of `names`: summed IoU of the matches, matches, false and missed segments."""

    names: tuple[str, ...]
    iou: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray


@remembered  # PQ, SQ and RQ ask for the same pair
def panoptic(prediction: Segmentation, truth: Segmentation) -> Panoptic:
    """Match the segments of each label (Kirillov et al., CVPR 2019; the rules of panopticapi).

    A segment is an instance, a connected component of a thing (corners connect, as everywhere but among lesions) or
    the whole mask of stuff. Two of a label match if their IoU is above 0.5: no segment has two such. What the truth
    ignores is in no union; a found segment without match is no error if more than half of it lies there or in a crowd.

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
