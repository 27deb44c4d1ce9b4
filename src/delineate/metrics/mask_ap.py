"""Average precision of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from delineate.arguments import FractionAboveZero
from delineate.metrics import Empty, Tally, traits
from delineate.metrics._coco import coco_parts
from delineate.metrics._objects import objects
from delineate.metrics._pair import same_layout

if TYPE_CHECKING:
    from delineate.core import Segmentation

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""0.50, 0.55, ..., 0.95."""

SIZES = {
    "all": (0.0, np.inf),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, np.inf),
}
"""Least and greatest size of the objects that count, in samples."""

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which the precision is sampled: 0, 0.01, ..., 1."""

AT_ONCE = 2**17
"""The size of one array of resamples, to limit memory and to fit the CPU cache."""


def coco_ap(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Precision at 101 recalls, averaged over these and the thresholds; NaN where there is no true object.

    Each part is (1 + detection, 1 + threshold). The first row begins with the number of true objects. Then each
    detection has a row: its score, and whether it is right (1), wrong (0) or ignored (-1) at each threshold. Detections
    of all cases are sorted together, and count as often as their case was drawn. Detections with equal scores share one
    score threshold: the precision is that after the last of them, so the order of cases does not matter.
    """
    truths = weights @ np.array([part[0, 0] for part in parts])
    case = np.repeat(np.arange(len(parts)), [len(part) - 1 for part in parts])
    detections = np.concatenate([part[1:] for part in parts])
    order = np.argsort(-detections[:, 0], kind="stable")
    case, flags = case[order], detections[order, 1:].T
    score = detections[order, 0]
    ends = np.searchsorted(-score, -score, side="right") - 1
    scores = np.full(len(weights), np.nan)
    drawn = np.flatnonzero(truths)
    step = max(1, AT_ONCE // max(len(case), 1))
    for start in range(0, len(drawn), step):
        rows = drawn[start : start + step]
        scores[rows] = _average(weights[np.ix_(rows, case)], flags, ends, truths[rows])
    return scores


@traits(
    title="Mask AP",
    meaning=(
        "Average precision of object detection by masks, averaged over IoU 0.50 to 0.95 (COCO)."
    ),
    family="objects",
    needs=frozenset({"classes"}),
    place=140,
    pooled=coco_ap,
    pooled_only=True,
    empty=Empty(
        truth=None,
        prediction=0,
        both=None,
        note="pooled over cases, what was predicted there counts",
    ),
)
def mask_ap(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    iou: FractionAboveZero | None = None,
    area: Literal["all", "small", "medium", "large"] = "all",
) -> dict[str, float]:
    """COCO's average precision of masks, per label: at an IoU of `iou`, or the mean over .50:.05:.95.

    It is meaningful pooled over cases: the detections of all cases are ranked by score together. Objects without a
    score are ranked by the mean probability inside, if it is known. Detections with equal scores share one score
    threshold. This gives the least value over all their orders, independent of the order of cases. Without equal scores
    the result is that of pycocotools, which otherwise depends on their order. The 100 detections with the highest
    scores in each case count (among equal scores the largest). `area` restricts the objects to small (up to 32²
    samples), medium, or large ones (from 96²). NaN if a label has no true object.
    """
    if iou is not None and not 0 < iou <= 1:
        raise ValueError(
            f"iou is {iou}; expected a number above 0, up to 1, or none for .50:.05:.95."
        )
    if area not in SIZES:
        raise ValueError(f"area is {area!r}; expected one of {', '.join(SIZES)}.")
    prediction, truth = same_layout(prediction, truth)
    thresholds = COCO_IOUS if iou is None else np.array([iou])
    return {
        label.name: Tally(
            "mask_ap",
            coco_parts(
                objects(prediction, label),
                objects(truth, label),
                valid=truth.valid,
                thresholds=thresholds,
                sizes=SIZES[area],
            ),
        )
        for label in truth.labels
    }


def _average(
    times: np.ndarray, flags: np.ndarray, ends: np.ndarray, truths: np.ndarray
) -> np.ndarray:
    """Average precision (resample,) of detections counted `times` (resample, detection), from flags by threshold.

    ends: index of the last detection with the same score, (detection,).
    """
    sums = np.zeros(len(times))
    before = None
    for flag in flags:
        counted, hits = flag >= 0, flag == 1
        if before is None or not np.array_equal(counted, before):  # rare, since few are ignored
            before, seen = counted, np.cumsum(times * counted, axis=1)
        # precision has its maxima directly after a score with a hit; other points are not needed
        end = ends[hits]
        last = np.append(end[1:] != end[:-1], True)[: end.size]
        right = np.cumsum(times[:, hits], axis=1)[:, last]
        detected = seen[:, end[last]]
        precision = np.divide(right, detected, out=np.zeros_like(right), where=right > 0)
        best_from = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = right / truths[:, None]
        for row in range(len(times)):
            reached = np.searchsorted(recall[row], RECALLS)
            sums[row] += best_from[row, reached[reached < right.shape[1]]].sum()
    return sums / (len(flags) * len(RECALLS))
