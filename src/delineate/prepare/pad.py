"""Pad the end of each axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Number, Shape, Size
from delineate.core import Geometry
from delineate.prepare._arrays import place, same_length
from delineate.prepare._step import Carry, GridStep


def pad(multiple: Size | None = None, shape: Shape | None = None, value: Number = 0) -> GridStep:
    """Pad the end of each axis, to a multiple of `multiple` or to at least `shape`.

    Args:
        multiple: the shape becomes a multiple of it; most encoders need 32.
        shape: samples along each axis; longer axes are not changed.
        value: the padding value; for Hounsfield units without a window, -1024 is air.
    """
    if (multiple is None) == (shape is None):
        raise ValueError("pad: give either multiple or shape, not both and not none.")
    return _Pad(multiple, shape, value)


@dataclass(frozen=True)
class _Pad:
    multiple: int | None
    shape: tuple[int, ...] | None
    value: float

    def grid(self, before: Geometry) -> Geometry:
        return before.cropped([0] * before.ndim, self._padded(before))

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        return place(array, [0] * before.ndim, self._padded(before), carry.beyond(self.value))

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        return place(array, [0] * before.ndim, before.shape, 0)

    def _padded(self, before: Geometry) -> list[int]:
        if self.multiple is not None:
            return [n + -n % self.multiple for n in before.shape]
        shape = self.shape or ()
        same_length("pad: shape", shape, before.ndim)
        return [max(n, least) for n, least in zip(before.shape, shape, strict=True)]
