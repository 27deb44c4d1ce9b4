"""Data -> what there is to say about them, before anything is trained. One check per file.

A check looks at the facts of all cases and gives findings. What makes results untrue, it refuses, and a recipe
that wants it all the same allows it by name: `audit: {allow: [near_duplicates_across_splits]}`.
"""

from delineate.audit._audit import Audit, audit
from delineate.audit._case_facts import CaseFacts
from delineate.audit._checks import levels, refusals
from delineate.audit._finding import Finding

__all__ = ["Audit", "CaseFacts", "Finding", "audit", "levels", "refusals"]
