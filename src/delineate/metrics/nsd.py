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
        "Normalised surface Dice, the share of the two surfaces that lie within a tolerance of each "
        "other: how much of the outline needs no correction."
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

    tolerance: in mm or px, inclusive; set it to what readers differ by. Surface is counted by its area, as Nikolov et
    al. do (JMIR 2021), so that thick slices weigh what they should; `nsd_voxel` counts samples. A volume of one slice
    is judged as a picture. From two slices on the outer faces of the first and the last are surface: in thin stacks
    most of it, which raises the score of two outlines that lie apart.

    Raises:
        ValueError: tolerance is negative or infinite, or the pair cannot be compared.
    """
    return surface_within(surfel_distances(prediction, truth), tolerance)
