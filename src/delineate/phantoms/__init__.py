"""Drawn images with their truth, one scene per file.

A scene draws pixels and, object by object, the truth. The data layout `phantom` makes cases of what a scene draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from delineate.core import Geometry


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn image, and its objects as (name, mask): apart, or the later is part of the earlier."""

    pixels: np.ndarray
    geometry: Geometry
    objects: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class Scene:
    """What can be drawn.

    draw: (the patient's generator, the case's generator, shape) -> Drawing.
    names: names of the objects it may hold.
    shape: its shape if none is asked for.
    per_patient: how many cases the first, second, ... patient has; then again from the first.
    """

    draw: Callable[[np.random.Generator, np.random.Generator, tuple[int, ...]], Drawing]
    names: tuple[str, ...]
    shape: tuple[int, ...]
    per_patient: tuple[int, ...]
