"""95th percentile of the distances in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import distance_by_label

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="HD95, surfaces pooled",
    meaning=(
        "As HD95, but with the distances of both directions taken together before the percentile."
    ),
    family="boundary",
    needs=frozenset({"classes"}),
    lower_is_better=True,
    unit="length",
    range=None,
    empty=Empty(truth="diagonal", prediction="diagonal", both=None),
)
def hd95_pooled(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """95th percentile of the surface distances of both directions together, per label, in mm or px.

    As medpy defines HD95: a spur on one surface has about half of its weight in `hd95`.
    """
    return distance_by_label(
        prediction,
        truth,
        lambda *sides: float(np.percentile(np.concatenate([s.distances for s in sides]), 95)),
    )
