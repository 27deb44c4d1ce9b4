"""Tables of scores: CSV, means, pooled scores, subgroups and intervals."""

from delineate.evaluation.table._scores import cases_scored
from delineate.evaluation.table.row import Row
from delineate.evaluation.table.sizes import Sizes, sizes
from delineate.evaluation.table.subgroups import size_column, subgroup_columns
from delineate.evaluation.table.table import Table

__all__ = ["Row", "Sizes", "Table", "cases_scored", "size_column", "sizes", "subgroup_columns"]
