"""Recognition quality."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._panoptic import panoptic
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def rq(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Recognition quality, the F1 of matched segments: TP / (TP + FP / 2 + FN / 2), per label; PQ = SQ x RQ.

    Segments match as in `pq`.
    """
    n = panoptic(prediction, truth)
    whole = n.tp + (n.fp + n.fn) / 2
    return {name: Tally("ratio", parts) for name, *parts in zip(n.names, n.tp, whole, strict=True)}
