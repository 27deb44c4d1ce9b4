"""Files that cannot be read, or hold what no image holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "unreadable": "refuse",
    "not_finite": "refuse",
    "constant_image": "warn",
    "misnamed": "note",
}
NEVER_ALLOWED = ("unreadable",)


def unreadable(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Missing, empty, truncated or unknown files; NaN and infinity; images of one value; wrong endings."""
    images = [(c.id, c.image) for c in cases if c.image]
    return [
        *finding(
            FINDS,
            "unreadable",
            [((c.id,), p.says) for c in cases for p in c.problems if p.kind == "unreadable"],
            lambda n: f"{counted(n, 'file')} cannot be read",
            "Copy, download or export them again, or take the cases out.",
        ),
        *finding(
            FINDS,
            "not_finite",
            [((id,), counted(i.not_finite, "sample")) for id, i in images if i.not_finite],
            lambda n: f"NaN or infinity in {counted(n, 'image')}",
            "Find out where they come from. They are read as the smallest value of the image, which may mean "
            "something else there.",
        ),
        *finding(
            FINDS,
            "constant_image",
            [((id,), "") for id, i in images if all(q[0] == q[-1] for q in i.quantiles)],
            lambda n: f"{counted(n, 'image')} of one value everywhere",
            "There is nothing to learn from. Was it exported with the wrong window?",
        ),
        *finding(
            FINDS,
            "misnamed",
            [((c.id,), name) for c in cases for name in c.misnamed],
            lambda n: f"{counted(n, 'file')} in another format than the name says",
            "It is read by what it holds; other programs may go by its name.",
        ),
    ]
