"""The steps of preparation as one, forward and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from delineate.core import Geometry, Image, Instance, Segmentation
from delineate.prepare._resample import linear, majority, nearest
from delineate.prepare._step import Carry, GridStep, Step, ValueStep
from delineate.resolve import Call, build


def load_prepare(calls: Sequence[Call]) -> Prepare:
    """The steps a recipe names, in order.

    Raises:
        RecipeError: unknown steps or arguments, or a step that moves samples after one that follows augmentation.
    """
    steps = [build("prepare", call) for call in calls]
    for step, call in zip(steps, calls, strict=True):
        if not isinstance(step, GridStep | ValueStep):
            raise call.fail(
                f"{call.name} gave {type(step).__name__}; expected a GridStep or a ValueStep."
            )
    first = next(
        (i for i, step in enumerate(steps) if isinstance(step, ValueStep) and step.after_augment),
        len(steps),
    )
    for step, call in zip(steps[first:], calls[first:], strict=True):
        if isinstance(step, GridStep):
            raise call.fail(
                f"{call.name} comes after {calls[first].name}, which runs after augmentation when the grid is "
                f"settled. Write {call.name} before {calls[first].name}."
            )
    return Prepare(tuple(steps[:first]), tuple(steps[first:]))


@dataclass(frozen=True)
class Prepare:
    """Steps from an image to the network's grid, and back.

    before: the steps before augmentation.
    after: the steps that follow it; they change values only.
    """

    before: tuple[Step, ...] = ()
    after: tuple[ValueStep, ...] = ()

    def __call__(self, image: Image) -> tuple[np.ndarray, Geometry]:
        """Pixels (channel, *spatial), float32 and contiguous, and the grid they lie on."""
        fixed = self.fixed(image)
        return self.finish(fixed.pixels), fixed.geometry

    def fixed(self, image: Image) -> Image:
        """The steps before augmentation, in the image's own dtype where they allow it: what training caches."""
        pixels, grid = image.pixels, image.geometry
        for step in self.before:
            if isinstance(step, GridStep):
                pixels, grid = step.forward(pixels, grid, Carry(linear)), step.grid(grid)
            else:
                pixels = step.apply(pixels)
        return Image(pixels, grid)

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """The steps after augmentation, and float32."""
        for step in self.after:
            pixels = step.apply(pixels)
        return np.ascontiguousarray(pixels, dtype=np.float32)

    def grid(self, geometry: Geometry) -> Geometry:
        """The network's grid for an image that lies on `geometry`."""
        return self._grids(geometry)[-1]

    def truth(self, truth: Segmentation) -> Segmentation:
        """The truth's label map on the network's grid, each sample what most of it is; without instances."""
        array, grid = truth.classes[None], truth.geometry
        for step in self._moves:
            array, grid = step.forward(array, grid, Carry(majority, (0,))), step.grid(grid)
        return replace(truth, classes=array[0], geometry=grid, instances=(), probabilities=None)

    def restore(self, found: Segmentation, geometry: Geometry) -> Segmentation:
        """What was found on the network's grid, on the grid of the file: every step undone, the last first.

        Where there are probabilities they are resampled, and the label map is the label of the largest at full
        resolution; without them labels are taken from the nearest sample. What a crop left out is background.

        Raises:
            ValueError: `found` is not on the grid that preparing an image on `geometry` gives.
        """
        grid = self.grid(geometry)
        if found.geometry.shape != grid.shape:
            raise ValueError(
                f"restore: the segmentation has shape {found.geometry.shape}, but an image of shape "
                f"{geometry.shape} is prepared to {grid.shape}. Was it made from another image or recipe?"
            )
        instances = self._instances(found.instances, grid, geometry)
        if found.probabilities is None:
            classes = self._undo(found.classes[None], geometry, Carry(nearest, (0,)))[0]
            return replace(found, classes=classes, geometry=geometry, instances=instances)
        maps = self._maps(found.probabilities, geometry)
        classes = _strongest(maps, found)
        return replace(
            found, classes=classes, geometry=geometry, instances=instances, probabilities=maps
        )

    @property
    def _moves(self) -> list[GridStep]:
        return [step for step in self.before if isinstance(step, GridStep)]

    def _grids(self, geometry: Geometry) -> list[Geometry]:
        """The grid of the file, and the grid after each step that moves samples."""
        grids = [geometry]
        for step in self._moves:
            grids.append(step.grid(grids[-1]))
        return grids

    def _undo(self, array: np.ndarray, geometry: Geometry, carry: Carry) -> np.ndarray:
        grids = self._grids(geometry)
        for step, before in zip(reversed(self._moves), reversed(grids[:-1]), strict=True):
            array = step.backward(array, before, carry)
        return array

    def _maps(self, maps: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Probabilities on `geometry`; of two that sum to 1, one is resampled."""
        maps = maps.astype(np.float32, copy=False)
        if len(maps) > 2:
            background = (1.0, *[0.0] * (len(maps) - 1))
            return np.ascontiguousarray(self._undo(maps, geometry, Carry(linear, background)))
        found = np.empty((2, *geometry.shape), np.float32)
        found[1] = self._undo(maps[1:], geometry, Carry(linear, (0.0,)))[0]
        np.subtract(1, found[1], out=found[0])
        return found

    def _instances(
        self, instances: Iterable[Instance], grid: Geometry, geometry: Geometry
    ) -> tuple[Instance, ...]:
        restored = []
        for instance in instances:
            whole = np.zeros((1, *grid.shape), np.float32)
            whole[0][instance.box] = instance.mask
            mask = self._undo(whole, geometry, Carry(linear, (0.0,)))[0] > 0.5
            if mask.any():
                box = _box(mask)
                restored.append(
                    replace(instance, mask=mask[box].copy(), start=tuple(s.start for s in box))
                )
        return tuple(restored)


def _strongest(maps: np.ndarray, found: Segmentation) -> np.ndarray:
    """The value of the label with the largest probability; of equal ones the first, background before all."""
    dtype = np.promote_types(found.classes.dtype, np.min_scalar_type(max(found.labels.values)))
    if len(maps) == 2:
        return np.asarray((maps[1] > 0.5) * np.array(found.labels.values[0], dtype))
    classes = np.zeros(maps.shape[1:], dtype)
    most = maps[0].copy()
    for value, share in zip(found.labels.values, maps[1:], strict=True):
        classes[share > most] = value
        np.maximum(most, share, out=most)
    return classes


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around what is true."""
    box = []
    for axis in range(mask.ndim):
        where = np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box)
