"""Reports: a table and its cases -> one self-contained HTML file with plots and pictures."""

from delineate.evaluation.report.overlay import overlay
from delineate.evaluation.report.pick_gallery import pick_gallery
from delineate.evaluation.report.write_audit import write_audit
from delineate.evaluation.report.write_comparison import write_comparison
from delineate.evaluation.report.write_report import write_report

__all__ = ["overlay", "pick_gallery", "write_audit", "write_comparison", "write_report"]
