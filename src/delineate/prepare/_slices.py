"""Cut 2D slices out of prepared volumes, with their neighbours as further channels (2.5D)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le, Len

from delineate.arguments import Axis, NonNegativeWhole
from delineate.core import Geometry
from delineate.prepare._layers import Layers
from delineate.resolve import Call, bind


@dataclass(frozen=True)
class Slices:
    """The `slices` section of a recipe: a 2D model for 3D images.

    The model learns from slices of the prepared volume. In prediction it is applied to every slice, and its logits are
    stacked to a volume on the same grid, so validation and evaluation are those of volumes. Masks must be 3D too.

    axes: axes of the prepared volume along which slices are cut, 0 to 2. After `orient: SPL`, 0 gives axial, 1 coronal
        and 2 sagittal slices. With several axes one model learns from all, and a prediction is the mean of the logits
        over the axes. All slices of a batch are then along one axis.
    neighbours: slices on each side of the slice that are further channels of the input: 1 gives three slices. At the
        ends of the volume the last slice is repeated. The target is that of the middle slice.
    """

    axes: Annotated[tuple[Annotated[Axis, Ge(0)], ...], Len(1, 3)] = (0,)
    neighbours: Annotated[NonNegativeWhole, Le(32)] = 0

    def __post_init__(self) -> None:
        if len(set(self.axes)) < len(self.axes):
            raise ValueError(f"slices.axes is {list(self.axes)}; expected each axis once.")

    def channels(self, channels: int) -> int:
        """The channels of a slice, for a volume with `channels` channels."""
        return channels * (2 * self.neighbours + 1)

    def kept(self, axis: int) -> tuple[int, int]:
        """The axes of the volume that are rows and columns of a slice along `axis`."""
        rows, columns = (other for other in range(3) if other != axis)
        return rows, columns

    def positions(self, shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        """Axis and index of every slice of a volume of this spatial shape.

        Raises:
            ValueError: the shape is not that of a volume.
        """
        if len(shape) != 3:
            raise ValueError(
                f"slices are cut out of volumes, but a prepared image has {len(shape)} axes. Leave out slices."
            )
        for axis in self.axes:
            yield from ((axis, index) for index in range(shape[axis]))

    def grids(self, geometry: Geometry) -> list[Geometry]:
        """The grid of a slice along each axis, in the patient where the volume is; its position is that of slice 0."""
        grids = []
        for axis in self.axes:
            kept = [other for other in range(geometry.ndim) if other != axis]
            affine = None
            if geometry.to_patient is not None:
                affine = geometry.to_patient[:, [*kept, geometry.ndim]]
            shape = tuple(geometry.shape[i] for i in kept)
            spacing = tuple(geometry.spacing[i] for i in kept)
            grids.append(Geometry(shape, spacing, geometry.unit, affine))
        return grids

    def slab(self, pixels: np.ndarray, axis: int, index: int) -> np.ndarray:
        """A slice and its neighbours: pixels (channel, *spatial) -> (channel, slice, rows, columns)."""
        last = pixels.shape[1 + axis] - 1
        wanted = range(index - self.neighbours, index + self.neighbours + 1)
        along = np.moveaxis(pixels, 1 + axis, 1)
        if not self.neighbours:
            return along[:, index : index + 1]
        return along[:, [min(max(i, 0), last) for i in wanted]]

    def truth(self, layers: Layers, axis: int, index: int) -> Layers:
        """The truth of a slice, without image-level labels, which are those of the volume."""
        numbers = layers.numbers
        return replace(
            layers,
            classes=np.ascontiguousarray(np.take(layers.classes, index, axis)),
            numbers=None if numbers is None else np.take(numbers, index, 1 + axis),
            present={},
            scores={},
        )


def stacked(slab: np.ndarray) -> np.ndarray:
    """(channel, slice, rows, columns) -> (slice x channel, rows, columns), all channels of one slice together."""
    return slab.swapaxes(0, 1).reshape(-1, *slab.shape[2:])


def unstacked(pixels: np.ndarray, channels: int) -> np.ndarray:
    """The inverse of `stacked`, for slices with `channels` channels."""
    return pixels.reshape(-1, channels, *pixels.shape[1:]).swapaxes(0, 1)


def load_slices(call: Call | None) -> Slices | None:
    """The `slices` section, checked; None for a recipe without it.

    Raises:
        RecipeError: an unknown setting, or one of another type or out of its range.
    """
    if call is None:
        return None
    args = bind(Slices, call)
    try:
        return Slices(**args)
    except ValueError as error:
        raise call.fail(str(error)) from error
