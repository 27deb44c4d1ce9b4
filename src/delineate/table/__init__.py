"""The scores of cases: kept as CSV, averaged, pooled, split by what is known of them, with intervals."""

from delineate.table._scores import cases_scored
from delineate.table.row import Row
from delineate.table.table import Table

__all__ = ["Row", "Table", "cases_scored"]
