"""Specificity."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth="scored", prediction=1, both=1))
def specificity(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Share of what is not there that was left alone: TN / (TN + FP), per label.

    Near 1 for every small object, since nearly all samples are true negatives: read it beside recall. NaN
    where the label fills the image.
    """
    n = counts(prediction, truth)
    return n.ratio(n.tn, n.tn + n.fp)
