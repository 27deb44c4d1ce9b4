"""The two kinds of preprocessing steps: `GridStep` changes the grid, `ValueStep` changes the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from delineate.core import Geometry


@dataclass(frozen=True)
class Carry:
    """How a `GridStep` resamples and pads; it differs between pixels, probabilities and labels.

    resample: resamples (channel, *spatial) to another shape of the same extent.
    outside: padding value of each channel; None: the step's own padding value.
    """

    resample: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
    outside: tuple[float, ...] | None = None

    def beyond(self, value: float) -> float | tuple[float, ...]:
        """The padding value, where `value` is that of the step."""
        return value if self.outside is None else self.outside


@runtime_checkable
class GridStep(Protocol):
    """A step that changes the grid. It depends on the geometry only, so its inverse needs no stored state."""

    def grid(self, before: Geometry) -> Geometry:
        """The grid after the step, from the grid before it."""

    def forward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        """Apply the step: (channel, *before.shape) -> (channel, *self.grid(before).shape)."""

    def backward(self, array: np.ndarray, before: Geometry, carry: Carry) -> np.ndarray:
        """Apply the inverse: (channel, *self.grid(before).shape) -> (channel, *before.shape)."""


@runtime_checkable
class ValueStep(Protocol):
    """A step that changes values and not the grid.

    The first step with `after_augment` and all steps behind it run after augmentation. The training cache stores the
    image before them.
    """

    after_augment: ClassVar[bool]

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """(channel, *spatial) -> (channel, *spatial); the number of channels may change."""


Step = GridStep | ValueStep
