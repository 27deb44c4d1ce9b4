"""95th percentile of the Hausdorff distance, by area of the surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from delineate.metrics import Empty, traits
from delineate.metrics._surface_distances import (
    Side,
    distance_by_label,
    surfel_distances,
)

if TYPE_CHECKING:
    from delineate.core import Segmentation


@traits(
    title="HD95, surfel-weighted",
    meaning="As HD95, with each point weighted by its surface area.",
    family="boundary",
    needs=frozenset({"classes"}),
    lower_is_better=True,
    unit="length",
    range=None,
    empty=Empty(truth="diagonal", prediction="diagonal", both=None),
)
def hd95_surfel(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """The distance within which 95 % of the area of each surface lies from the other, per label, in mm or px.

    As DeepMind's surface-distance defines HD95: between surface elements, weighted by area, so that thick slices have
    their true weight; the larger of the two directions, without interpolation.
    """
    return distance_by_label(
        prediction, truth, lambda *sides: max(map(_reached, sides)), surfel_distances
    )


def _reached(side: Side) -> float:
    order = np.argsort(side.distances)
    area = np.cumsum(side.areas[order])
    return float(side.distances[order[np.searchsorted(area / area[-1], 0.95)]])
