"""Keep the largest objects."""

from __future__ import annotations

import numpy as np

from delineate.arguments import Count, LabelNames
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation


def keep_largest_component(count: Count = 1, labels: LabelNames | None = None) -> Refinement:
    """Of each label the `count` largest connected objects stay; others become background, or the label around theirs.

    Args:
        count: how many objects stay; 2 for the kidneys when both are one label.
        labels: names of the labels concerned; all of them if left out.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        classes = prediction.classes.copy()
        for label in prediction.labels.inner_first:
            if labels is not None and label.name not in labels:
                continue
            numbers, sizes = components(prediction.mask(label.name))
            if len(sizes) <= 1 + count:  # nothing to drop
                continue
            drop = np.ones(len(sizes), dtype=bool)
            drop[0] = False
            drop[1 + np.argsort(-sizes[1:], kind="stable")[:count]] = False
            classes[np.take(drop, numbers)] = prediction.labels.value_without(label.name)
        return prediction.changed(classes)

    return step
