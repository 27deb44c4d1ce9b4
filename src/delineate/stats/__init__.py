"""Numbers -> numbers: how sure one can be of a score. Knows nothing of segmentation."""

from delineate.stats.bootstrap import Method, bootstrap
from delineate.stats.caution import caution
from delineate.stats.clopper_pearson import clopper_pearson
from delineate.stats.group_weights import group_weights
from delineate.stats.holm import holm
from delineate.stats.interval import Interval
from delineate.stats.risk_coverage import RiskCoverage, risk_coverage
from delineate.stats.weighted_mean import weighted_mean
from delineate.stats.wilcoxon import signed_rank_sum, wilcoxon

__all__ = [
    "Interval",
    "Method",
    "RiskCoverage",
    "bootstrap",
    "caution",
    "clopper_pearson",
    "group_weights",
    "holm",
    "risk_coverage",
    "signed_rank_sum",
    "weighted_mean",
    "wilcoxon",
]
