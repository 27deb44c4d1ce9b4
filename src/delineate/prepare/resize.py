"""Resize to a shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Len

from delineate.arguments import Number, Size
from delineate.core import Geometry
from delineate.prepare._arrays import place, same_length
from delineate.prepare._step import Carry, GridStep


def resize(
    shape: Annotated[tuple[Size | None, ...], Len(1, 3)],
    keep_aspect: bool = False,
    value: Number = 0,
) -> GridStep:
    """Resize to `shape`, with antialiasing.

    Args:
        shape: samples along each axis of the array: [rows, columns] for a photograph. null keeps an axis as it is:
            [null, 512, 512] resizes the slices of a volume and keeps their number.
        keep_aspect: keep the aspect ratio of the axes that are resized: the image is resized to fit inside `shape`,
            centred and padded.
        value: the padding value.
    """
    if all(n is None for n in shape):
        raise ValueError("resize: shape keeps every axis; give the samples of at least one.")
    return _Resize(tuple(shape), keep_aspect, value)


@dataclass(frozen=True)
class _Resize:
    shape: tuple[int | None, ...]
    keep_aspect: bool
    value: float

    def grid(self, before: Geometry) -> Geometry:
        inner = before.resized(self._inner(before))
        return inner.cropped(self._start(before), self._outer(before))

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        resized = carry.resample(array, self._inner(before))
        return place(resized, self._start(before), self._outer(before), carry.beyond(self.value))

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        start = [-s for s in self._start(before)]
        return carry.resample(place(array, start, self._inner(before), 0), before.shape)

    def _outer(self, before: Geometry) -> tuple[int, ...]:
        """The shape, with the length of each axis that is kept."""
        same_length("resize: shape", self.shape, before.ndim)
        return tuple(
            old if n is None else n for n, old in zip(self.shape, before.shape, strict=True)
        )

    def _inner(self, before: Geometry) -> tuple[int, ...]:
        """The part of the grid that the image fills."""
        outer = self._outer(before)
        if not self.keep_aspect:
            return outer
        factor = min(
            n / old for n, old in zip(self.shape, before.shape, strict=True) if n is not None
        )
        return tuple(
            old if kept is None else min(n, max(1, round(old * factor)))
            for kept, n, old in zip(self.shape, outer, before.shape, strict=True)
        )

    def _start(self, before: Geometry) -> list[int]:
        outer, inner = self._outer(before), self._inner(before)
        return [-((n - i) // 2) for n, i in zip(outer, inner, strict=True)]
