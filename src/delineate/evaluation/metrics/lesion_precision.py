"""Lesion-wise precision."""

from delineate.arguments import FractionBelowOne
from delineate.core import Segmentation
from delineate.evaluation.metrics._lesions import lesions
from delineate.evaluation.metrics._traits import Empty, traits


@traits(needs="things", empty=Empty(truth=0, prediction=None, both=None))
def lesion_precision(
    prediction: Segmentation, truth: Segmentation, *, iou: FractionBelowOne = 0.0
) -> dict[str, float]:
    """Share of found lesions that detect a true one, above an IoU of `iou`, for each label of kind thing (LiTS rules).

    Lesions match as in `lesion_recall`.
    """
    n = lesions(prediction, truth, iou)
    return n.ratio(n.detected, n.prediction)
