"""Match the detections of one case with its true objects, as COCO does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from delineate.core import Instance


MOST = 100
"""The number of detections per case that count, those with the highest scores (COCO's maxDets)."""

IGNORED, WRONG, RIGHT = -1, 0, 1


def coco_parts(
    prediction: Sequence[Instance],
    truth: Sequence[Instance],
    *,
    valid: np.ndarray | None,
    thresholds: np.ndarray,
    sizes: tuple[float, float],
) -> np.ndarray:
    """The parts of average precision for the objects of one label in one case, as `coco_ap` reads them.

    Args:
        prediction: the detections.
        truth: the true objects; a detection in a crowd is neither right nor wrong.
        valid: samples that count, (*spatial), or None for all; the others are treated as a crowd, and are in no union.
        thresholds: the least IoU of a correct detection, (threshold,).
        sizes: least and greatest size of the objects that count, in samples.
    """
    prediction = sorted(prediction, key=lambda one: (-one.score, -np.count_nonzero(one.mask)))[
        :MOST
    ]
    least = np.minimum(thresholds, 1 - 1e-10)  # so that equal masks match at a threshold of 1
    whole = _sizes(prediction)
    if valid is not None:
        prediction, truth = _within(valid, prediction), _within(valid, truth)
    kept, true_sizes = _sizes(prediction), _sizes(truth)
    crowd = np.array([one.crowd for one in truth], bool)

    def ious_of(shared: np.ndarray) -> np.ndarray:
        union = np.where(crowd, whole[:, None], kept[:, None] + true_sizes - shared)
        return np.asarray(shared / np.maximum(union, 1))

    most = np.minimum(_shared_by_boxes(prediction, truth), np.minimum(kept[:, None], true_sizes))
    shared = np.zeros_like(most)
    for d, t in np.argwhere(ious_of(most) >= least.min()):  # few: masks are slow to compare
        shared[d, t] = _shared(prediction[d], truth[t])
    ious = ious_of(shared)
    ignored = crowd | (true_sizes == 0) | (true_sizes < sizes[0]) | (true_sizes > sizes[1])
    if valid is not None:
        ious = np.column_stack([ious, 1 - kept / np.maximum(whole, 1)])
        crowd, ignored = np.append(crowd, True), np.append(ignored, True)

    # Among equal scores the best overlap matches first, so that the order of the input does not matter.
    scores = np.array([one.score for one in prediction])
    order = np.lexsort((-ious.max(axis=1, initial=0), -scores))
    flags = np.full((len(prediction), len(least)), WRONG)
    flags[order] = _match(ious[order], crowd, ignored, least)
    outside = (whole < sizes[0]) | (whole > sizes[1])
    flags[(flags == WRONG) & outside[:, None]] = IGNORED
    parts = np.zeros((1 + len(prediction), 1 + len(thresholds)))
    parts[0, 0] = np.count_nonzero(~ignored)
    parts[1:, 0] = scores
    parts[1:, 1:] = flags
    return parts


def _match(
    ious: np.ndarray, crowd: np.ndarray, ignored: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """Right, wrong or ignored, (detection, least IoU): each detection in turn matches the best object that is left.

    An ignored object is matched only if no other can be. A crowd can match any number of detections. Among equal
    objects the last is matched, as pycocotools does.
    """
    taken: list[set[int]] = [set() for _ in least]
    flags = np.full((len(ious), len(least)), WRONG)
    near: dict[int, list[int]] = {}
    for d, t in np.argwhere(ious >= least.min()).tolist():
        near.setdefault(d, []).append(t)
    for d, candidates in near.items():
        candidates.sort(key=lambda t: (ignored[t], -ious[d, t], -t))
        for i, enough in enumerate(least):
            for t in candidates:
                if ious[d, t] >= enough and t not in taken[i]:
                    flags[d, i] = IGNORED if ignored[t] else RIGHT
                    if not crowd[t]:
                        taken[i].add(t)
                    break
    return flags


def _within(valid: np.ndarray, objects: Sequence[Instance]) -> list[Instance]:
    return [replace(one, mask=one.mask & valid[one.box]) for one in objects]


def _sizes(objects: Sequence[Instance]) -> np.ndarray:
    return np.array([np.count_nonzero(one.mask) for one in objects], np.int64)


def _shared_by_boxes(prediction: Sequence[Instance], truth: Sequence[Instance]) -> np.ndarray:
    """Size of the intersection of the boxes of each pair, (predicted, true)."""
    if not prediction or not truth:
        return np.zeros((len(prediction), len(truth)), np.int64)
    (start, stop), (true_start, true_stop) = _corners(prediction), _corners(truth)
    sides = np.minimum(stop[:, None], true_stop) - np.maximum(start[:, None], true_start)
    return np.asarray(np.maximum(sides, 0).prod(axis=2))


def _corners(objects: Sequence[Instance]) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop of the boxes, each (object, axis)."""
    start = np.array([one.start for one in objects])
    return start, start + [one.mask.shape for one in objects]


def _shared(prediction: Instance, truth: Instance) -> int:
    """Size of the intersection of two masks whose boxes overlap."""
    here, there = [], []
    for a, b, m, n in zip(
        prediction.start, truth.start, prediction.mask.shape, truth.mask.shape, strict=True
    ):
        low, high = max(a, b), min(a + m, b + n)
        here.append(slice(low - a, high - a))
        there.append(slice(low - b, high - b))
    return int(np.count_nonzero(prediction.mask[tuple(here)] & truth.mask[tuple(there)]))
