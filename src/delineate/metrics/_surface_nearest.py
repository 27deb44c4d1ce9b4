"""Distances from one set of samples to another on the same grid."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

ROWS = 2048
"""The largest number of rows around a sample that may be searched."""

PAIRS = 300
"""The mean number of rows searched per sample: all within 10 samples in 3D. At larger distances a tree is faster."""

BATCH = 2**15
"""Pairs of a sample and a row searched at a time: enough to hide the cost of a call, few enough for the cache."""


def nearest(here: np.ndarray, there: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Exact distance from each sample of `here` to the nearest one of `there`, in the order of `np.nonzero`.

    First, the distance to the nearest sample in the same row (along the first axis) is computed for every row. Then the
    rows around each sample are searched, nearest first, until no farther row can contain a nearer sample. Surfaces that
    are compared are usually close, so few rows are searched. This is several times faster than a KD-tree, and than a
    distance transform. It is fastest if the first axis has the smallest spacing.

    here, there: boolean, (*spatial) with at least two axes. spacing: (axis,). All inf if `there` is empty.
    """
    flat = np.flatnonzero(here)
    if not len(flat) or not there.any():
        return np.full(len(flat), np.inf)
    squares, far = _search_rows(flat, there, spacing)
    distances: np.ndarray = np.sqrt(squares)
    if len(far):
        points = np.stack(np.unravel_index(flat[far], here.shape), axis=-1) * spacing
        distances[far] = cKDTree(np.argwhere(there) * spacing).query(points)[0]
    return distances


def _search_rows(
    flat: np.ndarray, there: np.ndarray, spacing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The squared distance of each sample, and the samples that are too far away for it to be certain."""
    steps, column = _rows(there)
    length, width = steps.shape
    square = np.full(length + 1, np.inf)
    square[:length] = (np.arange(length) * spacing[0]) ** 2
    along, across = np.divmod(flat, column.size)
    start = along * width

    shifts, apart = _around(column.shape, spacing[1:])
    margin = shifts.max(axis=0)  # rows outside the grid count as empty
    column = np.pad(column, [(m, m) for m in margin], constant_values=width - 1)
    inner = tuple(slice(m, n - m) for m, n in zip(margin, column.shape, strict=True))
    row = np.arange(column.size).reshape(column.shape)[inner].ravel()[across]
    shift = shifts @ (np.array(column.strides) // column.itemsize)
    steps, column = steps.ravel(), column.ravel()

    squares = np.full(len(flat), np.inf)
    active, best, done = np.arange(len(flat)), squares.copy(), 0
    pairs = PAIRS * len(flat)
    while len(active) and done < len(shift) and pairs > 0:
        some = slice(done, min(done + max(1, BATCH // len(active)), len(shift)))
        seen = square.take(steps.take(column.take(shift[some, None] + row) + start))
        seen += apart[some, None]
        np.minimum(best, seen.min(axis=0), out=best)
        pairs -= seen.size
        done = some.stop
        undecided = np.flatnonzero(best > apart[done])
        # removing fewer would cost more than searching for them again
        if len(undecided) < 0.9 * len(best):
            squares[active] = best
            active, best = active[undecided], best[undecided]
            start, row = start[undecided], row[undecided]
    squares[active] = best
    return squares, active[best > apart[done]]


def _rows(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps to the nearest sample in each row that has one, (length, column), and the column of each row.

    The last column stands for all empty rows; there the number of steps is `length`.
    """
    length = len(mask)
    filled = mask.any(axis=0)
    width = np.count_nonzero(filled) + 1
    column = np.full(filled.shape, width - 1)
    column[filled] = np.arange(width - 1)
    steps = np.full((length, width), length, np.min_scalar_type(length + 1))
    steps[:, :-1][mask[:, filled]] = 0
    for i in range(1, length):
        np.minimum(steps[i], steps[i - 1] + 1, out=steps[i])
    for i in reversed(range(length - 1)):
        np.minimum(steps[i], steps[i + 1] + 1, out=steps[i])
    return steps, column


def _around(shape: tuple[int, ...], spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shifts to the rows around a row, (row, axis), nearest first, and their squared distances.

    One more number follows the distances: a lower bound for all rows that are left out.
    """
    reach = (ROWS * math.prod(spacing)) ** (1 / len(shape)) / 2
    most = np.minimum((reach / spacing).astype(int), np.array(shape) - 1)
    shifts = np.moveaxis(np.indices(2 * most + 1), 0, -1).reshape(-1, len(shape)) - most
    apart = ((shifts * spacing) ** 2).sum(axis=1)
    order = np.argsort(apart, kind="stable")
    order = order[apart[order] <= reach**2]
    beyond = np.inf if len(order) == math.prod(2 * n - 1 for n in shape) else reach**2
    return shifts[order], np.append(apart[order], beyond)
