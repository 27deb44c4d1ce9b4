"""Images of several kinds in one data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from delineate.audit._case_facts import CaseFacts, ImageFacts
from delineate.audit._finding import Finding, Level, finding
from delineate.core import LabelSet

FINDS: Mapping[str, Level] = {
    "mixed_axes": "warn",
    "mixed_channels": "warn",
    "mixed_units": "warn",
    "mixed_orientations": "warn",
    "mixed_types": "note",
}


def kinds(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """2D with 3D, grey with colour, millimetres with pixels, several orientations in the patient, bytes with floats."""
    return [
        *_mixed(
            cases,
            "mixed_axes",
            lambda image: f"{len(image.shape)}D",
            "No network takes both. Split the volumes into slices, or take one kind out.",
        ),
        *_mixed(
            cases,
            "mixed_channels",
            lambda image: "1 channel" if image.channels == 1 else f"{image.channels} channels",
            "Begin prepare with {channels: 1} or {channels: 3}, and check that colour does not tell where a "
            "case comes from.",
        ),
        *_mixed(
            cases,
            "mixed_units",
            lambda image: image.unit,
            "Sizes and distances of the two cannot be pooled. Was the spacing of some lost on export?",
        ),
        *_mixed(
            cases,
            "mixed_orientations",
            lambda image: image.orientation,
            "An axis does not mean the same direction in all of them. Begin prepare with {orient: SPL}.",
        ),
        *_mixed(
            cases, "mixed_types", lambda image: image.dtype, "Check that they are on one scale."
        ),
    ]


def _mixed(
    cases: Sequence[CaseFacts], check: str, kind: Callable[[ImageFacts], str], advice: str
) -> list[Finding]:
    """Lists the cases that are not of the most frequent kind. Those of the kind "" are left out."""
    of = {c.id: what for c in cases if c.image and (what := kind(c.image))}
    counts = Counter(of.values()).most_common()
    if len(counts) < 2:
        return []
    return finding(
        FINDS,
        check,
        [((id,), what) for id, what in of.items() if what != counts[0][0]],
        lambda n: "images of " + ", ".join(f"{what} ({n})" for what, n in counts),
        advice,
    )
