"""Pixels and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.core.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Image:
    """`pixels` (channel, *spatial) on a `Geometry`, in the dtype and depth of the file.

    Sixteen bits stay sixteen, Hounsfield units stay Hounsfield units. Memory order is free: a photograph is
    usually a view on interleaved memory, so `np.moveaxis(pixels, 0, -1)` gives OpenCV's layout at no cost.

    warnings: in words, what in the file is doubtful or had to be replaced, one sentence or two each; empty for most.
    """

    pixels: np.ndarray
    geometry: Geometry
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.shape[1:] != self.geometry.shape:
            raise ValueError(
                f"pixels have shape {self.pixels.shape}, the geometry {self.geometry.shape}; "
                "expected (channel, *spatial)."
            )

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.pixels.shape[0])
