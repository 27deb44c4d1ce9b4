"""Panoptic quality."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._panoptic import panoptic
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def pq(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Panoptic quality: summed IoU of matched segments / (TP + FP / 2 + FN / 2), per label (Kirillov, CVPR 2019).

    Segments match above an IoU of 0.5. Pooled over cases it is panopticapi's, also where the truth ignores samples or
    has crowds; each label is judged on its own, so PQ of things and of stuff are means over labels.
    """
    n = panoptic(prediction, truth)
    whole = n.tp + (n.fp + n.fn) / 2
    return {name: Tally("ratio", parts) for name, *parts in zip(n.names, n.iou, whole, strict=True)}
