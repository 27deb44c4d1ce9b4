"""Ranges to draw from: a pair is a range, one number the range to both sides of what changes nothing."""

from __future__ import annotations

import numpy as np

Range = float | tuple[float, float]


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


def chance(p: float) -> float:
    """A probability, refused outside 0 to 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}; expected a probability from 0 to 1.")
    return p
