"""Volumes with slices in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, by_side, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "shared_slices_across_splits": "refuse",
    "shared_slices_of_two_groups": "warn",
    "shared_slices": "note",
}

SHARED = 2
"""Equal slices that make two volumes the same body; one may be a coincidence of padding."""


def shared_slices(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Volumes that hold equal slices, in any direction: one body twice, cropped or exported again."""
    volumes = [(case, case.image) for case in cases if case.image and case.image.slices]
    holders: dict[tuple[int, str], set[int]] = {}
    for number, (_, image) in enumerate(volumes):
        for axis, digests in enumerate(image.slices):
            for digest in digests:
                if digest:
                    holders.setdefault((axis, digest), set()).add(number)
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in holders.values():
        shared.update(combinations(sorted(numbers), 2))
    together = [
        ((volumes[i][0], volumes[j][0]), f"{count} slices are equal")
        for (i, j), count in shared.most_common()
        if count >= SHARED and volumes[i][1].pixels != volumes[j][1].pixels
    ]
    sides = by_side(together)
    return [
        *finding(
            FINDS,
            "shared_slices_across_splits",
            sides["across"],
            lambda n: (
                f"{counted(n, 'pair')} of volumes with equal slices on two sides of the split"
            ),
            "They show one body. Give them one group, or keep one.",
        ),
        *finding(
            FINDS,
            "shared_slices_of_two_groups",
            sides["between"],
            lambda n: (
                f"{counted(n, 'pair')} of volumes with equal slices under two groups of one split"
            ),
            "They show one body, and another split may separate them. Give them one group.",
        ),
        *finding(
            FINDS,
            "shared_slices",
            sides["within"],
            lambda n: f"{counted(n, 'pair')} of volumes of one group with equal slices",
            "They are in one split, where they do no harm, but add little information.",
        ),
    ]
