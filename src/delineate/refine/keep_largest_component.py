"""Keep the largest connected components."""

from __future__ import annotations

import numpy as np

from delineate.arguments import Count, LabelNames
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation


def keep_largest_component(count: Count = 1, labels: LabelNames | None = None) -> Refinement:
    """Keep the `count` largest connected components of each label.

    The others become background, or the label that includes theirs.

    Args:
        count: how many components to keep; 2 for both kidneys under one label.
        labels: names of the labels to process; all by default.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        classes = prediction.classes.copy()
        for label in prediction.labels.inner_first:
            if labels is not None and label.name not in labels:
                continue
            numbers, sizes = components(prediction.mask(label.name))
            if len(sizes) <= 1 + count:
                continue
            drop = np.ones(len(sizes), dtype=bool)
            drop[0] = False
            drop[1 + np.argsort(-sizes[1:], kind="stable")[:count]] = False
            classes[np.take(drop, numbers)] = prediction.labels.value_without(label.name)
        return prediction.changed(classes)

    return step
