"""Fill holes."""

from __future__ import annotations

import numpy as np

from delineate.arguments import LabelNames, NonNegative
from delineate.components import components
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import tried
from delineate.refine._regions import bounds, widened


@tried({}, {"max_size": 500})
def fill_holes(max_size: NonNegative | None = None, labels: LabelNames | None = None) -> Refinement:
    """Fill holes: background that one label encloses completely becomes that label.

    A hole touches neither the border nor another label. Background is connected over faces, so a diagonal wall of one
    sample closes a hole.

    Args:
        max_size: only holes up to this size are filled, in px², mm² or mm³; by default all.
        labels: names of the labels to process; all by default.
    """

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        classes = prediction.classes.copy()
        most = np.inf if max_size is None else max_size / prediction.geometry.sample_size
        for label in reversed(prediction.labels.inner_first):  # the innermost enclosing label wins
            if labels is not None and label.name not in labels:
                continue
            mask = prediction.mask(label.name)
            box = bounds(mask)
            if box is None:
                continue
            box = widened(box, [1] * mask.ndim, mask.shape)
            outside = ~mask[box]
            numbers, sizes = components(outside, faces=True)
            hole = sizes <= most
            hole[0] = False
            for axis in range(outside.ndim):
                for end in (0, -1):
                    hole[np.take(numbers, end, axis=axis)] = False
            hole[numbers[outside & (prediction.classes[box] != 0)]] = False
            classes[box][np.take(hole, numbers)] = label.value
        return prediction.changed(classes)

    return step
