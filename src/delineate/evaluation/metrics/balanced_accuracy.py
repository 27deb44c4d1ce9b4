"""Balanced accuracy."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._tally import Tally
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth="scored", prediction="scored", both="scored"))
def balanced_accuracy(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Mean recall of the classes that the truth holds, background included: one number, under "all".

    Its tally holds the confusion matrix (1 + label, 1 + label), found by truth, background first, then the
    labels in order: summed over cases it is the matrix of the whole set.
    """
    return {"all": Tally("balanced", counts(prediction, truth).matrix)}
