"""Average symmetric surface distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import distance_by_label

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="ASSD",
    meaning="Mean distance between the two surfaces, over the points of both.",
    family="boundary",
    needs=frozenset({"classes"}),
    place=90,
    lower_is_better=True,
    unit="length",
    range=None,
    empty=Empty(truth="diagonal", prediction="diagonal", both=None),
)
def assd(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Average symmetric surface distance: the mean over the border samples of both surfaces, per label, in mm or px."""
    return distance_by_label(
        prediction, truth, lambda *sides: float(np.concatenate([s.distances for s in sides]).mean())
    )
