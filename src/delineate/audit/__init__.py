"""Audit of the data before training. One check per file.

A check reads the facts of all cases and returns findings. A finding that would make results invalid has the level
"refuse"; a recipe can allow it by name: `audit: {allow: [near_duplicates_across_splits]}`.
"""

from delineate.audit._audit import Audit, audit
from delineate.audit._case_facts import CaseFacts
from delineate.audit._checks import levels, refusals
from delineate.audit._finding import Finding
from delineate.audit._identity import patient

__all__ = ["Audit", "CaseFacts", "Finding", "audit", "levels", "patient", "refusals"]
