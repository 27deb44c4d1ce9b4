"""Pixels of a scan with its axes running the same way through every patient."""

from __future__ import annotations

import numpy as np

from delineate.core import Image


def canonical(image: Image) -> np.ndarray:
    """(channel, *spatial): axes to the patient's left, back and head, in that order, as near as they come.

    A 2D image, or a volume whose place in the patient is unknown, stays as it is.
    """
    affine = image.geometry.to_patient
    if affine is None or image.geometry.ndim != 3:
        return image.pixels
    steps = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    axes = [int(np.abs(row).argmax()) for row in steps]
    if sorted(axes) != [0, 1, 2]:
        return image.pixels
    flips = [slice(None, None, -1 if row[a] < 0 else 1) for row, a in zip(steps, axes, strict=True)]
    pixels = image.pixels.transpose(0, *(a + 1 for a in axes))
    return np.asarray(pixels[(slice(None), *flips)])
