"""Left and right organs on the wrong side of the patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {"sides_swapped": "refuse"}


def sides(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """A left organ to the right of its right partner.

    Labels come in pairs by name, such as left_kidney and right_kidney. Their centres of mass are compared along the
    patient's left-right axis, where the orientation of the image in the patient is known. Either the labels are
    swapped, or the image was mirrored on export.
    """
    swapped = []
    for case in cases:
        lateral = {} if case.truth is None else case.truth.lateral
        for left, right in labels.sides:
            if left in lateral and right in lateral and lateral[left] < lateral[right]:
                gap = lateral[right] - lateral[left]
                swapped.append(((case.id,), f"{left} lies {gap:.0f} mm to the right of {right}"))
    return finding(
        FINDS,
        "sides_swapped",
        swapped,
        lambda n: f"left and right are swapped in {counted(n, 'pair')} of labels",
        "Are the values of the two labels exchanged, or was the image mirrored when its header was written? Correct "
        "labels or the header.",
    )
