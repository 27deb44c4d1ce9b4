"""What an augmentation draws: a part of one warp, or a change of what samples say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Border = Literal["zero", "reflect"]


@dataclass(frozen=True, eq=False)
class Warp:
    """Where each sample of the result is taken from, in indices of the array.

    matrix: (ndim + 1, ndim + 1), index in the result -> index in what was given.
    displacement: for each axis what is added to the index in the result before the matrix, as an array that
        broadcasts to the shape; () for none.
    border: what lies outside: 0 and background, or the mirrored image.
    swap: pairs of label values that change places.
    """

    matrix: np.ndarray
    displacement: tuple[np.ndarray, ...] = ()
    border: Border = "zero"
    swap: tuple[tuple[int, int], ...] = ()

    def then(self, later: Warp) -> Warp:
        """Both as one: the matrices in their order, then the displacements summed; mirrored borders win."""
        both = (self.displacement, later.displacement)
        return Warp(
            self.matrix @ later.matrix,
            tuple(a + b for a, b in zip(*both, strict=True)) if all(both) else both[0] or both[1],
            "reflect" if "reflect" in (self.border, later.border) else "zero",
            self.swap + later.swap,
        )


@dataclass(frozen=True)
class Mix:
    """Colours mixed linearly: (channel, channel + 1) times (colour, 1), on a scale from 0 to 1.

    matrix: from the mean colour of the image (channel), on which contrast turns.
    """

    matrix: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Curve:
    """Each value by itself: floats from 0 to 1 -> floats."""

    curve: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Filter:
    """Anything else: pixels (channel, *spatial) -> the same shape and dtype, the input left as it is."""

    filter: Callable[[np.ndarray], np.ndarray]


Part = Warp | Mix | Curve | Filter


class Augmentation(Protocol):
    """One augmentation; one of your own needs only this method."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Part | None:
        """What to do to one case whose spatial shape is `shape`; None is nothing."""


def about_centre(linear: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The matrix of a `Warp` that applies `linear` (ndim, ndim) to what is measured from the centre."""
    centre = (np.array(shape) - 1) / 2
    matrix = np.eye(len(shape) + 1)
    matrix[:-1, :-1] = linear
    matrix[:-1, -1] = centre - linear @ centre
    return matrix
