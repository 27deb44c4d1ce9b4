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
    """Hausdorff distance: how far the surfaces lie apart where they do most, per label, in mm or px.

    Measured between border samples, of which the image's edge makes some. A volume of one slice is judged as a
    picture; in one of two slices every sample is a border sample, in one of three all but the inside of the middle
    one. A percentile below 100 is taken of each direction alone, linearly interpolated, and the larger of the two
    counts.

    Raises:
        ValueError: percentile is not in (0, 100], or the pair cannot be compared.
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile is {percentile}; expected more than 0 and at most 100.")
    return largest_percentile(prediction, truth, percentile)
