"""Hausdorff distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from annotated_types import Le

from delineate.arguments import Positive
from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import largest_percentile

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="Hausdorff distance",
    meaning=(
        "The largest distance from a point of one surface to the other surface. A single stray pixel "
        "decides it."
    ),
    family="boundary",
    needs=frozenset({"classes"}),
    lower_is_better=True,
    unit="length",
    range=None,
    empty=Empty(truth="diagonal", prediction="diagonal", both=None),
)
def hausdorff(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    percentile: Annotated[Positive, Le(100)] = 100.0,
) -> dict[str, float]:
    """Hausdorff distance: the largest distance between the two surfaces, per label, in mm or px.

    It is measured between border samples; samples at the image's edge are border samples. A volume of one slice is
    treated as 2D. With two slices every sample is a border sample, with three all except the inside of the middle one.
    A percentile below 100 is computed in each direction, linearly interpolated, and the larger one is the result.

    Raises:
        ValueError: percentile is not in (0, 100], or the pair cannot be compared.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile is {percentile}; expected more than 0 and at most 100.")
    return largest_percentile(prediction, truth, percentile)
