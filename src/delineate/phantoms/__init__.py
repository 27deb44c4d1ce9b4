"""Generated images with their truth, one scene per file.

A scene draws the pixels and the mask of each object. `data/phantom.py` turns drawings into cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from delineate.core import Geometry


@dataclass(frozen=True, eq=False)
class Drawing:
    """A generated image, and its objects as (name, mask). If two overlap, the later is part of the earlier."""

    pixels: np.ndarray
    geometry: Geometry
    objects: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class Scene:
    """A kind of generated image.

    draw: (the patient's generator, the case's generator, shape) -> Drawing.
    names: names of the objects it can contain.
    shape: the default shape.
    per_patient: the number of cases of the first, second, ... patient; repeated for further patients.
    """

    draw: Callable[[np.random.Generator, np.random.Generator, tuple[int, ...]], Drawing]
    names: tuple[str, ...]
    shape: tuple[int, ...]
    per_patient: tuple[int, ...]
