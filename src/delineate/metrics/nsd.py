"""Normalised surface Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.arguments import NonNegative
from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import surface_within, surfel_distances

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="NSD at {tolerance} {unit}",
    meaning=(
        "Normalised surface Dice: the share of both surfaces that lies within a tolerance of the other, "
        "so that it needs no correction."
    ),
    family="boundary",
    needs=frozenset({"classes"}),
    place=80,
    roles=frozenset({"compared"}),
    empty=Empty(truth=0, prediction=0, both=None),
)
def nsd(
    prediction: Segmentation, truth: Segmentation, *, tolerance: NonNegative = 2.0
) -> dict[str, float]:
    """Normalised surface Dice: the share of both surfaces that lies within `tolerance` of the other, per label.

    tolerance: in mm or px, inclusive; choose the distance between human readers. The surface is weighted by area, as in
    Nikolov et al. (JMIR 2021), so that thick slices have their true weight; `nsd_voxel` counts samples. A volume of one
    slice is treated as 2D. With two or more slices, the outer faces of the first and the last belong to the surface; in
    thin stacks they are most of it, which raises the score of outlines that differ.

    Raises:
        ValueError: tolerance is negative or infinite, or the pair cannot be compared.
    """
    return surface_within(surfel_distances(prediction, truth), tolerance)
