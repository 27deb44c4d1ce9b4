"""Average symmetric surface distance."""

import numpy as np

from delineate.core import Segmentation
from delineate.evaluation.metrics._surface_distances import distance_by_label
from delineate.evaluation.metrics._traits import Empty, traits


@traits(
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
