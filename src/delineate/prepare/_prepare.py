"""All preprocessing steps in sequence, forward and inverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from delineate.core import Geometry, Image, Objects, Probabilities, Segmentation
from delineate.prepare._layers import Layers, Resample
from delineate.prepare._resample import linear
from delineate.prepare._step import Carry, GridStep, Step, ValueStep
from delineate.resolve import Call, build


def load_prepare(calls: Sequence[Call]) -> Prepare:
    """Build the steps of a recipe, in order.

    Raises:
        RecipeError: unknown steps or arguments, or a `GridStep` after a step that runs after augmentation.
    """
    steps = [build("prepare", call) for call in calls]
    for step, call in zip(steps, calls, strict=True):
        if not isinstance(step, GridStep | ValueStep):
            raise call.fail(
                f"{call.name} returned {type(step).__name__}; expected a GridStep or a ValueStep."
            )
    first = next(
        (i for i, step in enumerate(steps) if isinstance(step, ValueStep) and step.after_augment),
        len(steps),
    )
    for step, call in zip(steps[first:], calls[first:], strict=True):
        if isinstance(step, GridStep):
            raise call.fail(
                f"{call.name} comes after {calls[first].name}, which runs after augmentation and cannot be followed by "
                f"a step that changes the grid. Write {call.name} before {calls[first].name}."
            )
    return Prepare(tuple(steps[:first]), tuple(steps[first:]))


@dataclass(frozen=True)
class Prepare:
    """The steps from an image to the network's grid, and their inverse.

    before: the steps before augmentation.
    after: the steps after augmentation; they change values only.
    """

    before: tuple[Step, ...] = ()
    after: tuple[ValueStep, ...] = ()

    def __call__(self, image: Image) -> tuple[np.ndarray, Geometry]:
        """Pixels (channel, *spatial), float32 and contiguous, and their grid."""
        fixed = self.fixed(image)
        return self.finish(fixed.pixels), fixed.geometry

    def fixed(self, image: Image) -> Image:
        """Apply the steps before augmentation, in the image's dtype where possible; training caches the result."""
        pixels, grid = image.pixels, image.geometry
        for step in self.before:
            if isinstance(step, GridStep):
                pixels, grid = step.forward(pixels, grid, Carry(linear)), step.grid(grid)
            else:
                pixels = step.apply(pixels)
        return Image(pixels, grid)

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """Apply the steps after augmentation, and convert to float32."""
        for step in self.after:
            pixels = step.apply(pixels)
        return np.ascontiguousarray(pixels, dtype=np.float32)

    def grid(self, geometry: Geometry) -> Geometry:
        """The network's grid for an image on `geometry`."""
        return self._grids(geometry)[-1]

    def truth(self, truth: Segmentation, instances: bool = True) -> Segmentation:
        """The truth on the network's grid, without probabilities.

        Each sample of the label map gets the label with the largest share of it. The instances of a label together
        cover the same samples as their resampled union. Instances outside the grid are removed.

        Args:
            truth: the truth on the grid of the file.
            instances: False leaves out the instances, for a task that does not use them.
        """
        layers, grids = (
            Layers.of(truth if instances else replace(truth, instances=())),
            self._grids(truth.geometry),
        )
        for step, before in zip(self._moves, grids, strict=False):
            layers = layers.moved(partial(_forward, step, before))
        return layers.segmentation(grids[-1])

    def restore(self, probabilities: Probabilities, geometry: Geometry) -> Probabilities:
        """Resample probabilities from the network's grid to the grid of the file: the inverse steps in reverse order.

        Maps are resampled before thresholding or argmax, so that the segmentation has full resolution. Boxes of
        objects are converted to samples of the file, and their masks are flipped and transposed with the axes.

        Raises:
            ValueError: the maps do not have the shape of a preprocessed image on `geometry`.
        """
        maps, outside = probabilities.maps, probabilities.outside
        if maps is not None:
            grid = self.grid(geometry)
            if maps.shape[1:] != grid.shape:
                raise ValueError(
                    f"restore: the maps have shape {maps.shape[1:]}, but an image of shape {geometry.shape} is "
                    f"preprocessed to {grid.shape}. Are they from another image or recipe?"
                )
            carry = Carry(linear, outside)
            probabilities = replace(probabilities, maps=None, outside=())  # freed by the first step
            maps = maps.astype(np.float32, copy=False)
            for step, before in zip(
                reversed(self._moves), reversed(self._grids(geometry)[:-1]), strict=True
            ):
                maps = step.backward(maps, before, carry)
            maps = np.ascontiguousarray(maps)
        objects = probabilities.objects
        if objects is not None:
            for step, before in zip(
                reversed(self._moves), reversed(self._grids(geometry)[:-1]), strict=True
            ):
                objects = _moved(objects, _index_map(step, before))
        return replace(probabilities, maps=maps, outside=outside, objects=objects)

    @property
    def _moves(self) -> list[GridStep]:
        return [step for step in self.before if isinstance(step, GridStep)]

    def _grids(self, geometry: Geometry) -> list[Geometry]:
        """The grid of the file, and the grid after each `GridStep`."""
        grids = [geometry]
        for step in self._moves:
            grids.append(step.grid(grids[-1]))
        return grids


def _forward(step: GridStep, before: Geometry, maps: np.ndarray, resample: Resample) -> np.ndarray:
    """The maps of a truth after a step; the padding is background."""
    return step.forward(maps, before, Carry(resample, (0,)))


def _index_map(step: GridStep, before: Geometry) -> np.ndarray:
    """(ndim, ndim + 1) affine from the index after a step to the index before it."""
    if before.to_patient is None:  # any coordinates work here: use the indices
        eye = np.eye(4)[:, [*range(before.ndim), 3]]
        before = replace(before, to_patient=eye)
    assert before.to_patient is not None
    after = step.grid(before).to_patient
    assert after is not None
    steps = before.to_patient[:3, :-1]
    shift = after[:3].copy()
    shift[:, -1] -= before.to_patient[:3, -1]
    return np.asarray(np.linalg.pinv(steps) @ shift)


def _moved(objects: Objects[np.ndarray], index_map: np.ndarray) -> Objects[np.ndarray]:
    """Objects in the indices of another grid; its axes may be permuted, flipped, scaled and shifted."""
    matrix, offset = index_map[:, :-1], index_map[:, -1]
    # an index is the centre of a sample; its corner is half a sample before
    corners = (objects.boxes - 0.5) @ matrix.T + offset + 0.5
    order = np.abs(matrix).argmax(axis=1)  # for each axis before the step, its axis after the step
    masks = objects.masks.transpose(0, *(1 + order))
    for axis, after in enumerate(order):
        if matrix[axis, after] < 0:
            masks = np.flip(masks, 1 + axis)
    return Objects(objects.scores, np.sort(corners, axis=1), np.ascontiguousarray(masks))
