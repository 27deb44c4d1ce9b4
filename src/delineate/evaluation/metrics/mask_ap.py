"""Average precision of objects."""

from typing import Literal

import numpy as np

from delineate.arguments import FractionAboveZero
from delineate.core import Segmentation
from delineate.evaluation.metrics._coco import coco_parts
from delineate.evaluation.metrics._objects import objects
from delineate.evaluation.metrics._pair import same_layout
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""0.50, 0.55, ..., 0.95."""

SIZES = {
    "all": (0.0, np.inf),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, np.inf),
}
"""Least and greatest size of what is judged, in samples."""


@traits(
    pooled_only=True,
    empty=Empty(
        truth=None,
        prediction=0,
        both=None,
        note="pooled over cases, what was predicted there counts",
    ),
)
def mask_ap(
    prediction: Segmentation,
    truth: Segmentation,
    *,
    iou: FractionAboveZero | None = None,
    area: Literal["all", "small", "medium", "large"] = "all",
) -> dict[str, float]:
    """COCO's average precision of masks, per label: at an IoU of `iou`, or the mean over .50:.05:.95.

    Read it pooled over cases: the detections of all are ranked by score together. Objects without a score are ranked
    by the mean probability inside, where that is known. Detections of one score count together, as one threshold of
    the score finds them: the least value of all orders, and the same for every order of cases; where no two scores
    are equal it is that of pycocotools, which depends on the order of equal ones. Of each case the 100 surest are
    judged (of equal ones the largest); `area` takes the small (up to 32² samples), medium or large ones (from 96²)
    alone. NaN where a label has no true object.
    """
    if iou is not None and not 0 < iou <= 1:
        raise ValueError(
            f"iou is {iou}; expected a number above 0, up to 1, or none for .50:.05:.95."
        )
    if area not in SIZES:
        raise ValueError(f"area is {area!r}; expected one of {', '.join(SIZES)}.")
    prediction, truth = same_layout(prediction, truth)
    thresholds = COCO_IOUS if iou is None else np.array([iou])
    return {
        label.name: Tally(
            "coco_ap",
            coco_parts(
                objects(prediction, label),
                objects(truth, label),
                valid=truth.valid,
                thresholds=thresholds,
                sizes=SIZES[area],
            ),
        )
        for label in truth.labels
    }
