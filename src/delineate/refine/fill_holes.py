"""Fill holes."""

from __future__ import annotations

import numpy as np

from delineate.arguments import LabelNames, NonNegative
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation


def fill_holes(max_size: NonNegative | None = None, labels: LabelNames | None = None) -> Refinement:
    """Background wholly enclosed by one label becomes that label.

    A hole touches neither the border nor another label. Background is connected over faces, so that a
    one-sample diagonal wall closes it.

    Args:
        max_size: larger holes stay, in px², mm² or mm³; without it all are filled.
        labels: names of the labels concerned; all of them if left out.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        classes = prediction.classes.copy()
        most = np.inf if max_size is None else max_size / prediction.geometry.sample_size
        for label in reversed(prediction.labels.inner_first):  # what a part encloses is the part's
            if labels is not None and label.name not in labels:
                continue
            outside = ~prediction.mask(label.name)
            numbers, sizes = components(outside, faces=True)
            hole = sizes <= most
            hole[0] = False
            for axis in range(outside.ndim):
                for end in (0, -1):
                    hole[np.take(numbers, end, axis=axis)] = False
            hole[numbers[outside & (prediction.classes != 0)]] = False
            classes[hole[numbers]] = label.value
        return prediction.changed(classes)

    return step
