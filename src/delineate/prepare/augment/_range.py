"""Ranges of random values: a pair is (low, high); a single number d is neutral - d to neutral + d."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from delineate.arguments import NonNegative, Number, WholeNumber

Range = NonNegative | tuple[Number, Number]

Cells = Annotated[WholeNumber, Ge(2), Le(64)]
"""Number of cells along an axis of a deformation grid."""


def spread(
    name: str, value: Range, neutral: float = 0.0, least: float = -np.inf
) -> tuple[float, float]:
    """(low, high) of a range; a number d stands for neutral - d to neutral + d, but not below `least`.

    >>> spread("degrees", 45), spread("contrast", 0.25, neutral=1), spread("degrees", (10, 20))
    ((-45.0, 45.0), (0.75, 1.25), (10.0, 20.0))
    """
    if isinstance(value, int | float):
        if not value >= 0:
            raise ValueError(f"{name} is {value}; expected 0 or more, or a pair [low, high].")
        return max(neutral - value, least), neutral + value
    return ordered(name, value, least)


def ordered(
    name: str, value: tuple[float, float], least: float = -np.inf, most: float = np.inf
) -> tuple[float, float]:
    """(low, high), refused unless least <= low <= high <= most."""
    low, high = value
    if not least <= low <= high <= most:
        limits = f" between {least:g} and {most:g}" if np.isfinite([least, most]).any() else ""
        raise ValueError(f"{name} is {list(value)}; expected [low, high]{limits}.")
    return float(low), float(high)


def axis_of(name: str, axis: int, ndim: int) -> int:
    """An axis as 0 to ndim - 1, refused where the image has none such."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: there is no axis {axis}; the image has {ndim}.")
    return axis % ndim


def axes_of(name: str, plane: tuple[int, int], ndim: int) -> tuple[int, int]:
    """The two axes of a plane."""
    a, b = (axis_of(name, axis, ndim) for axis in plane)
    if a == b:
        raise ValueError(f"{name}: {list(plane)} is one axis; a plane has two.")
    return a, b
