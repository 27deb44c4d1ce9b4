"""Elastic deformation."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from delineate.arguments import Fraction
from delineate.prepare.augment._part import Augmentation, Border, Warp
from delineate.prepare.augment._range import Cells, Range, ordered


def elastic(
    magnitude: Range = (0.0, 0.03), cells: Cells = 6, p: Fraction = 0.3, border: Border = "zero"
) -> Augmentation:
    """Deform smoothly, by random displacements at the points of a coarse grid (as U-Net did, MICCAI 2015, sec. 3.1).

    Args:
        magnitude: standard deviation of the displacements, as a fraction of the axis; a number, or a pair to draw
            it from. Above 0.2 / cells the image may fold.
        cells: points along each axis.
        p: probability.
        border: what comes in from outside: zero (and background), or reflect.
    """
    pair = (magnitude, magnitude) if isinstance(magnitude, int | float) else magnitude
    return _Elastic(ordered("elastic: magnitude", pair, least=0), cells, p, border)


@dataclass(frozen=True)
class _Elastic:
    magnitude: tuple[float, float]
    cells: int
    p: float
    border: Border

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        if rng.random() >= self.p:
            return None
        size = rng.uniform(*self.magnitude)
        coarse = rng.standard_normal((len(shape), *[self.cells] * len(shape)), np.float32)
        smooth = [
            _smooth(field * np.float32(size * n), shape)
            for field, n in zip(coarse, shape, strict=True)
        ]
        return Warp(np.eye(len(shape) + 1), tuple(smooth), self.border)


def _smooth(field: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A coarse field on `shape`, by cubic interpolation of one axis after the other."""
    for axis, n in enumerate(shape):
        rows = np.moveaxis(field, axis, 0)
        flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
        fine = cv2.resize(flat, (flat.shape[1], n), interpolation=cv2.INTER_CUBIC)
        field = np.moveaxis(fine.reshape(n, *rows.shape[1:]), 0, axis)
    return np.ascontiguousarray(field)
