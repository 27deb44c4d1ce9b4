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
    all cases are sorted once, equal scores in the order of the cases, and count as often as their case was drawn.
    """
    truths = weights @ np.array([part[0, 0] for part in parts])
    case = np.repeat(np.arange(len(parts)), [len(part) - 1 for part in parts])
    detections = np.concatenate([part[1:] for part in parts])
    order = np.argsort(-detections[:, 0], kind="stable")
    case, flags = case[order], detections[order, 1:].T
    scores = np.full(len(weights), np.nan)
    drawn = np.flatnonzero(truths)
    step = max(1, AT_ONCE // max(len(case), 1))
    for start in range(0, len(drawn), step):
        rows = drawn[start : start + step]
        scores[rows] = _average(weights[np.ix_(rows, case)], flags, truths[rows])
    return scores


def _average(times: np.ndarray, flags: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Average precision (resample,) of detections counted `times` (resample, detection), from flags by threshold."""
    sums = np.zeros(len(times))
    before = None
    for flag in flags:
        judged, hits = flag >= 0, flag == 1
        if before is None or not np.array_equal(judged, before):  # seldom: few are ignored
            before, seen = judged, np.cumsum(times * judged, axis=1)
        # precision is greatest just after a hit, so that no other detection need be looked at
        right = np.cumsum(times[:, hits], axis=1)
        precision = np.divide(right, seen[:, hits], out=np.zeros_like(right), where=right > 0)
        best_from = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = right / truths[:, None]
        for row in range(len(times)):
            reached = np.searchsorted(recall[row], RECALLS)
            sums[row] += best_from[row, reached[reached < right.shape[1]]].sum()
    return sums / (len(flags) * len(RECALLS))
