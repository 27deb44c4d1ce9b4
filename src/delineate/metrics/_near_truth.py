"""Where calibration is judged."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from delineate.core import Segmentation
from delineate.metrics._pair import remembered


@remembered  # ece and ece_top ask for the same region
def near_truth(truth: Segmentation, margin: float | None) -> np.ndarray:
    """Where any label is at most `margin` away, in the unit of the grid: boolean (*spatial); None is everywhere.

    What the truth ignores is left out.

    Raises:
        ValueError: the margin is negative or infinite.
    """
    valid = truth.valid
    if margin is None:
        return np.ones(truth.classes.shape, bool) if valid is None else valid
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin is {margin}; expected a number from 0, or null for everywhere.")
    there = np.isin(truth.classes, truth.labels.values)
    near = np.zeros_like(there)
    if there.any():
        box = ndimage.find_objects(there.view(np.uint8))[0]
        wide = tuple(
            slice(max(0, side.start - reach), side.stop + reach)
            for side, spacing in zip(box, truth.geometry.spacing, strict=True)
            for reach in [int(margin / spacing) + 1]
        )
        distance = ndimage.distance_transform_edt(~there[wide], sampling=truth.geometry.spacing)
        near[wide] = distance <= margin
    return near if valid is None else near & valid
