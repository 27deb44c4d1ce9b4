"""Lesion-wise F1."""

from delineate.arguments import FractionBelowOne
from delineate.core import Segmentation
from delineate.evaluation.metrics._lesions import lesions
from delineate.evaluation.metrics._traits import Empty, traits


@traits(needs="things", empty=Empty(truth=0, prediction=0, both=None))
def lesion_f1(
    prediction: Segmentation, truth: Segmentation, *, iou: FractionBelowOne = 0.0
) -> dict[str, float]:
    """F1 of lesions: 2 TP / (2 TP + FP + FN) above an IoU of `iou`, for each label of kind thing (LiTS rules).

    Lesions match as in `lesion_recall`.
    """
    n = lesions(prediction, truth, iou)
    return n.ratio(2 * n.detected, n.prediction + n.true)
