"""Crop the centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Number, Shape
from delineate.core import Geometry
from delineate.prepare._arrays import place, same_length
from delineate.prepare._step import Carry, GridStep


def crop(shape: Shape, value: Number = 0) -> GridStep:
    """Crop the centre to `shape`; pad axes that are shorter.

    In predictions, the area outside the crop is background.

    Args:
        shape: samples along each axis of the array.
        value: the padding value.
    """
    return _Crop(tuple(shape), value)


@dataclass(frozen=True)
class _Crop:
    shape: tuple[int, ...]
    value: float

    def grid(self, before: Geometry) -> Geometry:
        return before.cropped(self._start(before), self.shape)

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        return place(array, self._start(before), self.shape, carry.beyond(self.value))

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        return place(
            array, [-s for s in self._start(before)], before.shape, carry.beyond(self.value)
        )

    def _start(self, before: Geometry) -> list[int]:
        same_length("crop: shape", self.shape, before.ndim)
        return [(old - n) // 2 for old, n in zip(before.shape, self.shape, strict=True)]
