"""The results of drawing an augmentation: a spatial warp, or a change of values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Border = Literal["zero", "reflect"]


@dataclass(frozen=True, eq=False)
class Warp:
    """A spatial transform: the input position of each output sample, in array indices.

    matrix: (ndim + 1, ndim + 1), output index -> input index.
    displacement: one array per axis, broadcastable to the shape, added to the output index before the matrix is
        applied; () for none.
    border: padding: zero (0 and background), or reflect (the mirrored image).
    swap: pairs of label values that are exchanged.
    """

    matrix: np.ndarray
    displacement: tuple[np.ndarray, ...] = ()
    border: Border = "zero"
    swap: tuple[tuple[int, int], ...] = ()

    def then(self, later: Warp) -> Warp:
        """Compose two warps: matrices are multiplied, displacements added; border reflect takes precedence."""
        both = (self.displacement, later.displacement)
        return Warp(
            self.matrix @ later.matrix,
            tuple(a + b for a, b in zip(*both, strict=True)) if all(both) else both[0] or both[1],
            "reflect" if "reflect" in (self.border, later.border) else "zero",
            self.swap + later.swap,
        )


@dataclass(frozen=True)
class Mix:
    """A linear change of colours: (channel, channel + 1) times (colour, 1), for values from 0 to 1.

    matrix: returns the matrix, from the mean colour of the image (channel), which contrast needs.
    """

    matrix: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Curve:
    """A change of each value by a function: floats from 0 to 1 -> floats."""

    curve: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Filter:
    """Any other change: pixels (channel, *spatial) -> new pixels of the same shape and dtype."""

    filter: Callable[[np.ndarray], np.ndarray]


Part = Warp | Mix | Curve | Filter


class Augmentation(Protocol):
    """One augmentation; a user's own augmentation needs only this method."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Part | None:
        """Draw the change for a case of spatial shape `shape`; None for no change."""


def about_centre(linear: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a `Warp` that applies `linear` (ndim, ndim) about the centre."""
    centre = (np.array(shape) - 1) / 2
    matrix = np.eye(len(shape) + 1)
    matrix[:-1, :-1] = linear
    matrix[:-1, -1] = centre - linear @ centre
    return matrix
