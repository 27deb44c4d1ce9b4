"""Segmentation x Segmentation -> number per label: one metric per file, found before truth.

The empty rule of the house, where there is nothing to divide by or to measure to:

| truth | found | Dice, IoU, F-beta | precision | recall | distances (HD, HD95, ASSD) | NSD |
|---|---|---|---|---|---|---|
| empty | empty | NaN | NaN | NaN | NaN | NaN |
| empty | something | 0 | 0 | NaN | diagonal of the image | 0 |
| something | empty | 0 | NaN | 0 | diagonal of the image | 0 |

NaN says that the question does not arise; such a case is left out of the mean, and counted, as are those of which
only one side is empty. Specificity, AUROC and average precision, clDice and calibration say in their own files where
they are NaN. Rates over objects (lesion recall and precision) follow recall and precision. Samples that the
truth marks to be ignored are judged by none.
"""

from delineate.metrics._counts import Counts, counts
from delineate.metrics._load import Metric, load_metrics
from delineate.metrics._pair import forget, masks
from delineate.metrics._probability_histogram import (
    PrecisionRecallCurve,
    RocCurve,
    precision_recall_curve,
    roc_curve,
)
from delineate.metrics._tally import Tally, pool, pool_weighted
from delineate.metrics._traits import Traits, traits, traits_of

__all__ = [
    "EMPTY_RULE",
    "Counts",
    "Metric",
    "PrecisionRecallCurve",
    "RocCurve",
    "Tally",
    "Traits",
    "counts",
    "forget",
    "load_metrics",
    "masks",
    "pool",
    "pool_weighted",
    "precision_recall_curve",
    "roc_curve",
    "traits",
    "traits_of",
]

EMPTY_RULE = (
    "Where a label is neither in the truth nor found, there is nothing to score: the case is left out of "
    "that label's mean. Where it is found but not in the truth, overlap (Dice, IoU, NSD) and precision are 0, and "
    "there is no recall. Where it is in the truth but not found, overlap and recall are 0, and there is no "
    "precision. In both, a distance (HD, HD95, ASSD) is the diagonal of the image, the largest there can be, and "
    "the case is counted as one of which only one side is empty. Rates over whole lesions follow the same rule."
)
"""The empty rule in a reader's words, printed beside every table of scores."""
