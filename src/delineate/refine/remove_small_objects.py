"""Remove small connected components."""

from __future__ import annotations

import numpy as np

from delineate.arguments import LabelNames, NonNegative
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation


def remove_small_objects(min_size: NonNegative, labels: LabelNames | None = None) -> Refinement:
    """Remove connected components smaller than `min_size`: they become background, or the label that includes theirs.

    Args:
        min_size: in px² for a photograph, mm² or mm³ for a scan.
        labels: names of the labels to process; all by default.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        classes = prediction.classes.copy()
        least = min_size / prediction.geometry.sample_size
        for label in prediction.labels.inner_first:
            if labels is not None and label.name not in labels:
                continue
            numbers, sizes = components(prediction.mask(label.name))
            small = sizes < least
            small[0] = False
            if not small.any():
                continue
            classes[np.take(small, numbers)] = prediction.labels.value_without(label.name)
        return prediction.changed(classes)

    return step
