"""Objects too small to have been drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {"tiny_objects": "warn"}

TINY = 10
"""Samples; fewer are more often a slip of the pen, or of a resampling, than a thing."""


def objects(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Connected objects of fewer than ten samples."""
    entries, total = [], 0
    for case in cases:
        tiny = {
            name: sum(size < TINY for size in sizes)
            for name, sizes in (case.truth.objects.items() if case.truth else ())
        }
        if any(tiny.values()):
            total += sum(tiny.values())
            entries.append(
                ((case.id,), ", ".join(f"{n} of {name}" for name, n in tiny.items() if n))
            )
    return finding(
        FINDS,
        "tiny_objects",
        entries,
        lambda n: (
            f"{counted(total, 'object')} of fewer than {TINY} samples in the masks of {counted(n, 'case')}"
        ),
        "Specks count as objects in lesion-wise scores, and move distances far. Look at them, and clean the "
        "masks if they are slips.",
    )
