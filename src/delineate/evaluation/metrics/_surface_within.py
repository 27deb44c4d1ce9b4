"""The part of two surfaces that lies close to the other."""

from __future__ import annotations

import numpy as np

from delineate.evaluation.metrics._surface_distances import Sides
from delineate.evaluation.metrics._tally import Tally

ROUNDING = 1e-7
"""Three steps of 0.1 mm are more than 0.3 mm in binary; a distance that much too large still equals the tolerance."""


def surface_within(sides: Sides, tolerance: float) -> dict[str, float]:
    """Area within `tolerance` over all area of both surfaces, by label, as a tally; NaN where there is none.

    Raises:
        ValueError: tolerance is negative or infinite.
    """
    if not 0 <= tolerance < np.inf:
        raise ValueError(
            f"tolerance is {tolerance}; expected a distance of 0 or more, in mm or px."
        )
    limit = tolerance * (1 + ROUNDING)
    return {
        name: Tally(
            "ratio",
            (
                sum(float(side.areas[side.distances <= limit].sum()) for side in both),
                sum(float(side.areas.sum()) for side in both),
            ),
        )
        for name, both in sides.items()
    }
