"""Statistics of scores: intervals, tests and risk-coverage curves. They take and return numbers only."""

from delineate.evaluation.stats.agreement import Agreement, agreement
from delineate.evaluation.stats.bootstrap import Method, bootstrap
from delineate.evaluation.stats.caution import caution
from delineate.evaluation.stats.clopper_pearson import clopper_pearson
from delineate.evaluation.stats.group_weights import group_weights
from delineate.evaluation.stats.holm import holm
from delineate.evaluation.stats.interval import Interval
from delineate.evaluation.stats.risk_coverage import RiskCoverage, risk_coverage
from delineate.evaluation.stats.weighted_mean import weighted_mean
from delineate.evaluation.stats.wilcoxon import signed_rank_sum, wilcoxon

__all__ = [
    "Agreement",
    "Interval",
    "Method",
    "RiskCoverage",
    "agreement",
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
