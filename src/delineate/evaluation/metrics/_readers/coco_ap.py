"""Average precision of detections, as COCO computes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RECALLS = np.linspace(0, 1, 101)
"""Where precision is read: 0, 0.01, ..., 1."""

AT_ONCE = 2**17
"""Numbers of one array while resamples are read: memory is bounded, and they stay in the cache."""


def coco_ap(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Precision at 101 recalls, averaged over these and the thresholds; NaN where there is no true object.

    Each part is (1 + detection, 1 + threshold): a first row that begins with the number of true objects, then a row for
    each detection, its score and whether it is right (1), wrong (0) or ignored (-1) at each threshold. Detections of
    all cases are sorted once, and count as often as their case was drawn. Those of one score are found together, at one
    threshold of the score: precision is read behind the last of them, so the order of cases does not matter.
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


def _average(
    times: np.ndarray, flags: np.ndarray, ends: np.ndarray, truths: np.ndarray
) -> np.ndarray:
    """Average precision (resample,) of detections counted `times` (resample, detection), from flags by threshold.

    ends: the last detection of the same score, (detection,).
    """
    sums = np.zeros(len(times))
    before = None
    for flag in flags:
        judged, hits = flag >= 0, flag == 1
        if before is None or not np.array_equal(judged, before):  # seldom: few are ignored
            before, seen = judged, np.cumsum(times * judged, axis=1)
        # precision is greatest just after a score with a hit, so that no other need be looked at
        end = ends[hits]
        last = np.append(end[1:] != end[:-1], True)[: end.size]
        right = np.cumsum(times[:, hits], axis=1)[:, last]
        found = seen[:, end[last]]
        precision = np.divide(right, found, out=np.zeros_like(right), where=right > 0)
        best_from = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = right / truths[:, None]
        for row in range(len(times)):
            reached = np.searchsorted(recall[row], RECALLS)
            sums[row] += best_from[row, reached[reached < right.shape[1]]].sum()
    return sums / (len(flags) * len(RECALLS))
