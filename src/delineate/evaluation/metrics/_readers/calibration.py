"""Expected calibration error of bins summed over cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.metrics._tally import added


def calibration(parts: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Mean gap between confidence and correctness; parts are (3, bin): samples, confidence, correct.

    Bins weigh by their samples; NaN of no sample.
    """
    samples, confidence, correct = np.moveaxis(added(parts, weights), 1, 0)
    gap, total = np.abs(confidence - correct).sum(axis=1), samples.sum(axis=1)
    return np.asarray(np.divide(gap, total, out=np.full(len(gap), np.nan), where=total != 0))
