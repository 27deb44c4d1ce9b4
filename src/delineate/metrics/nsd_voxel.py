"""Normalised surface Dice, by samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.arguments import NonNegative
from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import sample_distances, surface_within

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Voxel NSD at {tolerance} {unit}",
    meaning="As NSD, counting surface voxels instead of measuring the surface.",
    family="boundary",
    needs=frozenset({"classes"}),
    empty=Empty(truth=0, prediction=0, both=None),
)
def nsd_voxel(
    prediction: Segmentation, truth: Segmentation, *, tolerance: NonNegative = 2.0
) -> dict[str, float]:
    """The share of the border samples of both masks that lies within `tolerance` (mm or px) of the other, per label.

    This is the default NSD of MONAI and Metrics Reloaded. A border sample counts once, however large its face is, so
    thick slices have the wrong weight. Prefer `nsd`.

    Raises:
        ValueError: tolerance is negative or infinite, or the pair cannot be compared.
    """
    return surface_within(sample_distances(prediction, truth), tolerance)
