"""Tables of the same cases -> their differences, with intervals and tests."""

from delineate.evaluation.compare.ablation import UNCHANGED, Ablation
from delineate.evaluation.compare.compare import compare
from delineate.evaluation.compare.comparison import Comparison
from delineate.evaluation.compare.difference import Difference

__all__ = ["UNCHANGED", "Ablation", "Comparison", "Difference", "compare"]
