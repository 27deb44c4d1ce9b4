"""Segmentation quality."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._panoptic import panoptic
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def sq(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Segmentation quality, the mean IoU of matched segments, per label; PQ = SQ x RQ.

    Segments match as in `pq`. Where there are segments but none match it is 0, as panopticapi has it: then PQ is the
    product in every case.
    """
    n = panoptic(prediction, truth)
    return {
        name: Tally("matched_mean", parts)
        for name, *parts in zip(n.names, n.iou, n.tp, n.fp + n.fn, strict=True)
    }
