"""Resize to a shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Number, Shape
from delineate.core import Geometry
from delineate.prepare._arrays import place, same_length
from delineate.prepare._step import Carry, GridStep


def resize(shape: Shape, keep_aspect: bool = False, value: Number = 0) -> GridStep:
    """Resize to `shape`, with antialiasing.

    Args:
        shape: samples along each axis of the array: (rows, columns) for a photograph.
        keep_aspect: keep the aspect ratio: the image is resized to fit inside `shape`, centred and padded.
        value: the padding value.
    """
    return _Resize(tuple(shape), keep_aspect, value)


@dataclass(frozen=True)
class _Resize:
    shape: tuple[int, ...]
    keep_aspect: bool
    value: float

    def grid(self, before: Geometry) -> Geometry:
        return before.resized(self._inner(before)).cropped(self._start(before), self.shape)

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        resized = carry.resample(array, self._inner(before))
        return place(resized, self._start(before), self.shape, carry.beyond(self.value))

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        start = [-s for s in self._start(before)]
        return carry.resample(place(array, start, self._inner(before), 0), before.shape)

    def _inner(self, before: Geometry) -> tuple[int, ...]:
        """The part of the grid that the image fills."""
        same_length("resize: shape", self.shape, before.ndim)
        if not self.keep_aspect:
            return self.shape
        factor = min(n / old for n, old in zip(self.shape, before.shape, strict=True))
        return tuple(
            min(n, max(1, round(old * factor)))
            for n, old in zip(self.shape, before.shape, strict=True)
        )

    def _start(self, before: Geometry) -> list[int]:
        return [-((n - i) // 2) for n, i in zip(self.shape, self._inner(before), strict=True)]
