"""Calibration: the region where it is measured, and the reliability diagram."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from delineate.metrics import Tally, added
from delineate.metrics._pair import remembered

if TYPE_CHECKING:
    from delineate.core import Segmentation

CHUNK = 2**18
"""Samples processed at a time, so that they fit the CPU cache."""


@remembered  # ece and ece_top ask for the same region
def near_truth(truth: Segmentation, margin: float | None) -> np.ndarray:
    """The samples at most `margin` away from any label, in the unit of the grid: boolean (*spatial); None: all samples.

    Samples that the truth ignores are left out.

    Raises:
        ValueError: the margin is negative or infinite.
    """
    valid = truth.valid
    if margin is None:
        return np.ones(truth.classes.shape, bool) if valid is None else valid
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin is {margin}; expected a number from 0, or null for everywhere.")
    there = np.zeros(truth.classes.shape, bool)
    near = np.zeros_like(there)
    for value in truth.labels.values:  # np.isin takes 8 bytes a sample
        there |= truth.classes == value
    if there.any():
        box = ndimage.find_objects(there.view(np.uint8))[0]
        wide = tuple(
            slice(max(0, side.start - reach), side.stop + reach)
            for side, spacing in zip(box, truth.geometry.spacing, strict=True)
            for reach in [int(margin / spacing) + 1]
        )
        _mark(near[wide], there[wide], truth.geometry.spacing, margin)
    if valid is not None:
        near &= valid
    return near


def _mark(near: np.ndarray, there: np.ndarray, spacing: tuple[float, ...], margin: float) -> None:
    """Set `near` where `there` is at most `margin` away, slab by slab of the first axis.

    Adds up squared distances axis by axis, up to the margin (Saito & Toriwaki, Pattern Recognition 1994). SciPy's
    distance transform of a whole scan would take 50 bytes per sample.
    """
    step = max(1, CHUNK // there[0].size)
    reach = [min(int(margin / s) + 1, n - 1) for s, n in zip(spacing, there.shape, strict=True)]
    for start in range(0, len(there), step):
        stop = min(start + step, len(there))
        if not there[max(0, start - reach[0]) : stop + reach[0]].any():
            continue
        squares = np.full((stop - start, *there.shape[1:]), np.inf)
        for k in range(reach[0], -1, -1):  # the nearest last
            for shift in {k, -k}:
                first, last = max(start + shift, 0), min(stop + shift, len(there))
                if first < last:
                    part = squares[first - shift - start : last - shift - start]
                    np.copyto(part, (k * spacing[0]) ** 2, where=there[first:last])
        for axis in range(1, there.ndim):
            before, after = np.moveaxis(squares.copy(), axis, 0), np.moveaxis(squares, axis, 0)
            for k in range(1, reach[axis] + 1):
                away = before + (k * spacing[axis]) ** 2
                np.minimum(after[k:], away[:-k], out=after[k:])
                np.minimum(after[:-k], away[k:], out=after[:-k])
        near[start:stop] = np.sqrt(squares) <= margin


def reliability(samples: Iterable[tuple[np.ndarray, np.ndarray]], bins: int, kind: str) -> Tally:
    """The expected calibration error in `bins` bins of equal width from 0 to 1, each including its lower end.

    `samples` yields chunks: confidence (sample,), and whether it is correct (sample,), boolean.

    The tally has the kind `kind` and the parts (3, bins): samples, sum of confidence, correct samples. Summed over
    cases, the second and third row divided by the first are the reliability diagram.

    Raises:
        ValueError: fewer than one bin.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}; expected at least 1 (15 is usual).")
    parts = np.zeros((3, bins))
    for confidence, correct in samples:
        place = np.minimum((confidence * bins).astype(np.intp), bins - 1)
        parts += (
            np.bincount(place, minlength=bins),
            np.bincount(place, weights=confidence, minlength=bins),
            np.bincount(place[correct], minlength=bins),
        )
    return Tally(kind, parts)


def calibration_error(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean gap between confidence and accuracy; parts are (3, bin): samples, confidence, correct.

    Bins are weighted by their samples; NaN without samples.
    """
    samples, confidence, correct = np.moveaxis(added(parts, weights), 1, 0)
    gap, total = np.abs(confidence - correct).sum(axis=1), samples.sum(axis=1)
    return np.asarray(np.divide(gap, total, out=np.full(len(gap), np.nan), where=total != 0))
