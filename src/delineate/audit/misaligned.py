"""Images and masks that do not lie on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {"misaligned": "refuse", "misplaced": "refuse"}
NEVER_ALLOWED = ("misaligned",)


def misaligned(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Image and mask that differ in shape, in spacing, or in their place in the patient."""
    return [
        *finding(
            FINDS,
            "misaligned",
            [((c.id,), p.says) for c in cases for p in c.problems if p.kind == "misaligned"],
            lambda n: f"image and mask of {counted(n, 'case')} differ in shape",
            "Export the mask on the grid of its image; masks are never resized here.",
        ),
        *finding(
            FINDS,
            "misplaced",
            [((c.id,), p.says) for c in cases for p in c.problems if p.kind == "misplaced"],
            lambda n: f"image and mask of {counted(n, 'case')} do not lie in one place",
            "Export the mask on the grid of its image; masks are never moved here. If you allow this finding by name, "
            "headers are ignored where the shapes are equal.",
        ),
    ]
