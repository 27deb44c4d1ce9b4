"""95th percentile of the Hausdorff distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import largest_percentile

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="HD95",
    meaning=(
        "The distance that 95 % of the points of a surface lie within of the other, the larger of the two "
        "directions."
    ),
    family="boundary",
    needs=frozenset({"classes"}),
    place=70,
    roles=frozenset({"compared"}),
    lower_is_better=True,
    unit="length",
    range=None,
    empty=Empty(truth="diagonal", prediction="diagonal", both=None),
)
def hd95(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Hausdorff distance without the worst 5 %: the larger of the 95th percentiles of the two directions, in mm or px.

    As MONAI and Metrics Reloaded define it. `hd95_pooled` and `hd95_surfel` are other definitions, and differ by up to
    30 %. For volumes of two or three slices see `hausdorff`: most samples are on the border, which lowers the
    percentile.
    """
    return largest_percentile(prediction, truth, 95.0)
