"""Exact ranks of few samples among many others, for pooled AUROC and average precision.

Coarse bins are accurate enough if many samples of both kinds share them, since their errors cancel. With few samples of
the label (or of the rest) they do not cancel. So a case also keeps the values at some ranks, or all its values if they
are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

POINTS = 768
"""Values kept per case of the samples of one kind: all if they are few, else those at evenly spaced ranks.

With `tail`, one third are the highest values, one third are spaced geometrically, one third evenly."""

FEW = POINTS
"""Up to this number of samples of one kind in all cases, each is ranked exactly."""


class Ranks(NamedTuple):
    """The distinct values of the few samples, in rising order, and their ranks among the other samples.

    value, case, times: (value,): the value, its case, and how many samples of the case have it.
    below, upto: how many of the other samples of each case are below the value, and below or equal: (case, value).
    others: number of the other samples of each case, (case,).
    """

    value: np.ndarray
    case: np.ndarray
    times: np.ndarray
    below: np.ndarray
    upto: np.ndarray
    others: np.ndarray


def points(values: np.ndarray, counts: np.ndarray, *, tail: bool = False) -> np.ndarray:
    """Select up to `POINTS` of these values, (3 * POINTS,) uint32: their bits, how many are below, how many up to it.

    values: (value,) float32, rising. counts: how many samples have each. Padded with the last value; zeros if empty.
    tail: keep the highest values, which average precision needs of the samples without the label.
    """
    held = np.flatnonzero(counts)
    if not held.size:
        return np.zeros(3 * POINTS, np.uint32)
    upto = counts[held].cumsum()
    chosen = np.arange(held.size)
    if held.size > POINTS:
        total, third = int(upto[-1]), POINTS // 3
        ranks = np.linspace(1, total, POINTS)  # from the highest, which is 1
        if tail:
            ranks[:third] = np.arange(1, third + 1)
            ranks[third : 2 * third] = np.geomspace(third, total, third)
            ranks[2 * third :] = np.linspace(1, total, POINTS - 2 * third)
        chosen = np.unique(np.searchsorted(upto, total - ranks.astype(np.int64), side="right"))
    chosen = np.pad(chosen, (0, POINTS - chosen.size), mode="edge")
    below = upto[chosen] - counts[held[chosen]]
    bits = values[held[chosen]].astype(np.float32).view(np.uint32)
    return np.concatenate([bits, below.astype(np.uint32), upto[chosen].astype(np.uint32)])


def ranks(parts: Sequence[np.ndarray], bins: int, few: int) -> Ranks | None:
    """Rank the samples of one kind (0 absent, 1 present) among those of the other; None if they are not few.

    parts: of each case, (2, bins + 3 * POINTS): a histogram and the points. The result is also None if a case has no
    points, as in tables of earlier versions.
    """
    if any(part.shape[1] != bins + 3 * POINTS for part in parts):
        return None
    sizes = np.array([part[:, :bins].sum(axis=1, dtype=np.int64) for part in parts])
    if sizes[:, few].sum() > FEW:
        return None
    kept = np.stack([part[:, bins:].reshape(2, 3, POINTS) for part in parts])
    values = kept[:, :, 0].view(np.float32).astype(np.float64)
    below, upto = np.moveaxis(kept[:, :, 1:].astype(np.float64), 2, 0)
    new = (np.diff(values[:, few], axis=1, prepend=-1) > 0) & (sizes[:, few, None] > 0)
    case, place = np.nonzero(new)
    value = values[case, few, place]
    order = np.argsort(value, kind="stable")
    case, place, value = case[order], place[order], value[order]
    other = 1 - few
    around = [
        _around(value, values[i, other], below[i, other], upto[i, other], sizes[i, other])
        for i in range(len(parts))
    ]
    return Ranks(
        value,
        case,
        upto[case, few, place] - below[case, few, place],
        np.stack([low for low, _ in around]),
        np.stack([high for _, high in around]),
        sizes[:, other],
    )


def area(absent: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Of histograms (resample, bin) by rising probability: the share of pairs that are in order, draws halved."""
    below = absent.cumsum(axis=1) - absent / 2
    pairs = absent.sum(axis=1) * present.sum(axis=1)
    won = (present * below).sum(axis=1)
    return np.asarray(np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs != 0))


def _around(
    value: np.ndarray, points: np.ndarray, below: np.ndarray, upto: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """How many samples are below these values, and up to them: exact at a point, interpolated between points."""
    if not size:
        return np.zeros(value.size), np.zeros(value.size)
    right = np.minimum(np.searchsorted(points, value), points.size - 1)
    left = np.maximum(right - 1, 0)
    gap = points[right] - points[left]
    part = np.divide(value - points[left], gap, out=np.zeros(value.size), where=gap > 0)
    between = upto[left] + part.clip(0, 1) * np.maximum(below[right] - upto[left], 0)
    between = np.where(value < points[0], 0, np.where(value > points[-1], size, between))
    same = points[right] == value
    return np.where(same, below[right], between), np.where(same, upto[right], between)
