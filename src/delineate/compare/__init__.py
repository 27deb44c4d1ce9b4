"""Tables of the same cases -> who is better, by how much, and how sure one can be."""

from delineate.compare.compare import compare
from delineate.compare.comparison import Comparison
from delineate.compare.difference import Difference

__all__ = ["Comparison", "Difference", "compare"]
