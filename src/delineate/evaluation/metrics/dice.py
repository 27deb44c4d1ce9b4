"""Dice similarity coefficient."""

from delineate.core import Segmentation
from delineate.evaluation.metrics._counts import counts
from delineate.evaluation.metrics._traits import Empty, traits


@traits(empty=Empty(truth=0, prediction=0, both=None))
def dice(prediction: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Dice of hard labels: 2 TP / (2 TP + FP + FN), per label (Dice, Ecology 1945)."""
    n = counts(prediction, truth)
    return n.ratio(2 * n.tp, 2 * n.tp + n.fp + n.fn)
