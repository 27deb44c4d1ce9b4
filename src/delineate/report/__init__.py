"""A table and its cases -> one HTML file that needs nothing else, and the pictures in it."""

from delineate.report.overlay import overlay
from delineate.report.pick_gallery import pick_gallery
from delineate.report.write_audit import write_audit
from delineate.report.write_comparison import write_comparison
from delineate.report.write_report import write_report

__all__ = ["overlay", "pick_gallery", "write_audit", "write_comparison", "write_report"]
