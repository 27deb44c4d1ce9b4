"""Lesion-wise recall."""

from delineate.arguments import FractionBelowOne
from delineate.core import Segmentation
from delineate.evaluation.metrics._lesions import lesions
from delineate.evaluation.metrics._traits import Empty, traits


@traits(needs="things", empty=Empty(truth=None, prediction=0, both=None))
def lesion_recall(
    prediction: Segmentation, truth: Segmentation, *, iou: FractionBelowOne = 0.0
) -> dict[str, float]:
    """Share of true lesions that are detected, above an IoU of `iou`, for each label of kind thing (LiTS rules).

    Lesions that touch each other's matches are merged and count once as detected, each for itself as true. Pooled over
    cases it is the recall of LiTS, "greater zero" at the default.
    """
    n = lesions(prediction, truth, iou)
    return n.ratio(n.detected, n.true)
