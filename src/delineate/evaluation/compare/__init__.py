"""Tables of the same cases -> who is better, by how much, and how sure one can be."""

from delineate.evaluation.compare.compare import compare
from delineate.evaluation.compare.comparison import Comparison
from delineate.evaluation.compare.difference import Difference

__all__ = ["Comparison", "Difference", "compare"]
