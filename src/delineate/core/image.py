"""An image: pixels and their geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.core.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Image:
    """`pixels` (channel, *spatial) on a `Geometry`, in the dtype of the file.

    Values are not rescaled: 16 bits stay 16 bits, Hounsfield units stay Hounsfield units. The memory order is not
    fixed: a photograph is usually a view on interleaved memory, so `np.moveaxis(pixels, 0, -1)` gives OpenCV's
    layout without a copy.

    warnings: problems of the file, such as replaced NaN samples, one or two sentences each; usually empty.
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
