"""Predict volumes with a model for 2D images, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from delineate.core import Case, Image, Probabilities
from delineate.inference.predictor import CasePredictor
from delineate.prepare import Carry, GridStep, Slices, linear
from delineate.prepare.orient import orient

VIEWS = {"axial": "SPL", "coronal": "PIL", "sagittal": "LIP"}
"""The orientation of a volume whose first axis runs through the slices of each view, as they are usually displayed."""


def slicewise(
    predictor: CasePredictor, view: Literal["axial", "coronal", "sagittal"] = "axial"
) -> CasePredictor:
    """Predict a volume slice by slice, and stack the probabilities to a volume on the grid of its file.

    For a model that was trained on images with two axes. A model of grey images does so by itself when it is given a
    volume; for others the recipe says so. Each slice is prepared as a 2D image, in radiological orientation: the
    patient's right is on the left of an axial slice. The refinements see the whole volume. Images with two axes are
    predicted as they are. To train on slices of volumes, use the section `slices`, which also knows their neighbours;
    `slicewise` is refused beside it, and in a recipe that trains on volumes.

    Args:
        predictor: a predictor of 2D images.
        view: the slices to cut. A volume whose orientation is unknown is cut along its first axis.
    """
    return replace(predictor, source=_Slicewise(predictor, view))


@dataclass(frozen=True)
class _Slicewise:
    """Case -> probabilities of the whole volume."""

    predictor: CasePredictor
    view: str

    def __call__(self, case: Case) -> Probabilities:
        """The probabilities on the grid of the file, and how many slices differ from the training images.

        Of the slices that differ, the differences of the one with the most are told, the first of these slices.
        The image-level probability of a volume is the largest of its slices.

        Raises:
            ValueError: a volume, and a task with objects.
        """
        image = case.image
        if image.geometry.ndim != 3:
            return self.predictor.probabilities(case)
        if "objects" in self.predictor.task.heads:
            raise ValueError(
                f"{case.id}: the model finds objects in images with 2 axes, and this image has 3. Objects of slices "
                "are not joined to objects of a volume; give single slices."
            )
        turn: GridStep | None = None
        pixels, grid = image.pixels, image.geometry
        if grid.to_patient is not None:
            turn = orient(VIEWS[self.view])
            pixels, grid = turn.forward(pixels, grid, Carry(linear)), turn.grid(grid)
        (plane,) = Slices((0,)).grids(grid)
        unlike: tuple[str, ...] = ()
        others = 0
        shown: dict[str, float] = {}
        maps: np.ndarray | None = None
        for index in range(grid.shape[0]):
            one = Image(np.ascontiguousarray(pixels[:, index]), plane)
            part = self.predictor.probabilities(Case.of_image(one, case.id))
            others += bool(part.unlike_training)
            unlike = max(unlike, part.unlike_training, key=len)
            shown |= {name: max(p, shown.get(name, 0.0)) for name, p in part.image.items()}
            if part.maps is not None:
                if maps is None:
                    maps = np.empty((len(part.maps), *grid.shape), np.float32)
                maps[:, index] = part.maps
        if maps is not None and turn is not None:
            maps = np.ascontiguousarray(turn.backward(maps, image.geometry, Carry(linear)))
        if others:
            unlike = (
                f"{others} of {grid.shape[0]} slices differ, one of them: {unlike[0]}",
                *unlike[1:],
            )
        return replace(part, maps=maps, image=shown, unlike_training=unlike)
