"""Segmentation x Segmentation -> number per label: one metric per file, found before truth.

The empty rule of the house, where a ratio has nothing to divide by:

| truth | found | Dice, IoU | precision | recall |
|---|---|---|---|---|
| empty | empty | NaN | NaN | NaN |
| empty | something | 0 | 0 | NaN |
| something | empty | 0 | NaN | 0 |

NaN says that the question does not arise; such a case is left out of the mean, and counted. Samples that the truth
marks to be ignored are judged by none.
"""

from delineate.metrics._counts import Counts, counts
from delineate.metrics._load import Metric, load_metrics
from delineate.metrics._pair import masks
from delineate.metrics._tally import Tally, pool, pool_weighted
from delineate.metrics._traits import Traits, traits, traits_of

__all__ = [
    "EMPTY_RULE",
    "Counts",
    "Metric",
    "Tally",
    "Traits",
    "counts",
    "load_metrics",
    "masks",
    "pool",
    "pool_weighted",
    "traits",
    "traits_of",
]

EMPTY_RULE = (
    "Where a label is neither in the truth nor found, there is nothing to score: the case is left out of "
    "that label's mean. Where it is found but not in the truth, Dice, IoU and precision are 0. Where it is in "
    "the truth but not found, Dice, IoU and recall are 0."
)
"""The empty rule in a reader's words, printed beside every table of scores."""
