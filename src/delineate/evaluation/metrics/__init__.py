"""Segmentation x Segmentation -> number per label: one metric per file, prediction before truth.

What a metric gives where truth, prediction or both are empty stands in its own file, in its `traits`; reference pages,
scores.json, reports and the terminal read it there. NaN says that the question does not arise: such a case is left out
of the mean, and counted. Samples that the truth marks to be ignored are judged by none.
"""

from delineate.evaluation.metrics._counts import Counts, counts
from delineate.evaluation.metrics._load import Metric, load_metrics
from delineate.evaluation.metrics._pair import forget, masks
from delineate.evaluation.metrics._probability_histogram import (
    PrecisionRecallCurve,
    RocCurve,
    precision_recall_curve,
    roc_curve,
)
from delineate.evaluation.metrics._tally import Tally, pool, pool_weighted
from delineate.evaluation.metrics._traits import (
    Empty,
    Traits,
    empty_rule,
    empty_rules,
    traits,
    traits_of,
)

__all__ = [
    "Counts",
    "Empty",
    "Metric",
    "PrecisionRecallCurve",
    "RocCurve",
    "Tally",
    "Traits",
    "counts",
    "empty_rule",
    "empty_rules",
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
