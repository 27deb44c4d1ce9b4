"""What a step of preparation is: it moves samples (`GridStep`) or changes what they say (`ValueStep`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from delineate.core import Geometry


@dataclass(frozen=True)
class Carry:
    """How samples are carried from one grid to another; it differs between pixels, maps and labels.

    resample: (channel, *spatial) onto another shape of the same extent.
    outside: what lies beyond the old grid, per channel; None leaves it to the step.
    """

    resample: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
    outside: tuple[float, ...] | None = None

    def beyond(self, value: float) -> float | tuple[float, ...]:
        """What lies beyond the old grid, if a step would put `value` there."""
        return value if self.outside is None else self.outside


@runtime_checkable
class GridStep(Protocol):
    """A step that changes where samples lie: known from the geometry alone, so nothing is remembered."""

    def grid(self, before: Geometry) -> Geometry:
        """The grid after the step, from the grid before it."""

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        """(channel, *before.shape) -> (channel, *self.grid(before).shape)."""

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        """(channel, *self.grid(before).shape) -> (channel, *before.shape)."""


@runtime_checkable
class ValueStep(Protocol):
    """A step that changes what samples say, and not where they lie.

    Steps from the first with `after_augment` on run after augmentation; a training cache keeps what is before them.
    """

    after_augment: ClassVar[bool]

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """(channel, *spatial) -> (channel, *spatial); the number of channels may change."""


Step = GridStep | ValueStep
