"""Resample to a spacing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Len

from delineate.arguments import Positive
from delineate.core import Geometry
from delineate.prepare._arrays import same_length
from delineate.prepare._step import Carry, GridStep


def resample(spacing: Positive | Annotated[tuple[Positive | None, ...], Len(1, 3)]) -> GridStep:
    """Resample a scan to a spacing in mm, with antialiasing.

    The extent is kept, so the new spacing is the nearest one that gives a whole number of samples.

    Args:
        spacing: mm, one value for all axes or one for each axis of the array. null keeps an axis as it is:
            [null, 0.8, 0.8] resamples the slices of a volume and keeps their number.
    """
    if not isinstance(spacing, int | float) and all(step is None for step in spacing):
        raise ValueError("resample: spacing keeps every axis; give the mm of at least one.")
    each: tuple[float | None, ...] = (
        (spacing,) if isinstance(spacing, int | float) else tuple(spacing)
    )
    return _Resample(each)


@dataclass(frozen=True)
class _Resample:
    spacing: tuple[float | None, ...]

    def grid(self, before: Geometry) -> Geometry:
        return before.resized(self._shape(before))

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        return carry.resample(array, self._shape(before))

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        return carry.resample(array, before.shape)

    def _shape(self, before: Geometry) -> tuple[int, ...]:
        if before.unit != "mm":
            raise ValueError(
                "resample: the image has no physical spacing (its unit is px). Use resize instead."
            )
        wanted = self.spacing * before.ndim if len(self.spacing) == 1 else self.spacing
        same_length("resample: spacing", wanted, before.ndim)
        return tuple(
            n if new is None else max(1, round(n * old / new))
            for n, old, new in zip(before.shape, before.spacing, wanted, strict=True)
        )
