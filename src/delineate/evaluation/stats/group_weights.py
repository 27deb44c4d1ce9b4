"""Weights of cases for the cluster bootstrap: whole groups are drawn with replacement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

CHUNK = 2**22
"""Most weights in memory at a time, for any number of cases and resamples."""

ROWS = 256
"""Most resamples at a time, since statistics of histograms take memory for each."""


def group_weights(
    groups: Sequence[str], *, seed: int = 0, resamples: int = 2000
) -> Iterator[np.ndarray]:
    """How often each case is drawn in each resample, (chunk, case) float64, chunk after chunk.

    Cases of one group are drawn together. Each resample draws as many groups as there are, with replacement. The
    draws depend on the names of the groups, their number and the seed only, not on the order of the cases or the size
    of the chunks. So two tables of the same groups get the same resamples, which makes a comparison of them paired.
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    for drawn in _chunks(len(names), seed, resamples, _rows(len(member))):
        yield drawn[:, member].astype(np.float64)


def left_out(groups: Sequence[str]) -> Iterator[np.ndarray]:
    """Weights (chunk, case) that leave out each group in turn, for the jackknife."""
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    rows = _rows(len(member))
    for start in range(0, len(names), rows):
        out = np.arange(start, min(start + rows, len(names)))
        yield (member != out[:, None]).astype(np.float64)


def _rows(cases: int) -> int:
    return max(1, min(ROWS, CHUNK // max(1, cases)))


def _chunks(groups: int, seed: int, resamples: int, rows: int) -> Iterator[np.ndarray]:
    if groups * resamples <= CHUNK:
        drawn = _kept(groups, seed, resamples)
        yield from (drawn[start : start + rows] for start in range(0, resamples, rows))
        return
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, rows):
        yield _draw(rng, groups, min(rows, resamples - start))


@lru_cache(maxsize=4)  # every label and metric of a table uses the same draws
def _kept(groups: int, seed: int, resamples: int) -> np.ndarray:
    drawn = _draw(np.random.default_rng(seed), groups, resamples)
    drawn.flags.writeable = False
    return drawn


def _draw(rng: np.random.Generator, groups: int, resamples: int) -> np.ndarray:
    """How often each group is drawn, (resample, group)."""
    drawn = rng.integers(groups, size=(resamples, groups))
    drawn += np.arange(resamples)[:, None] * groups
    times = np.bincount(drawn.ravel(), minlength=resamples * groups)
    return times.reshape(resamples, groups).astype(np.min_scalar_type(groups))
