"""The same image, more than once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, by_side, finding
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "duplicates_across_splits": "refuse",
    "duplicates_of_two_groups": "warn",
    "duplicates": "warn",
    "duplicates_with_two_truths": "warn",
}


def duplicates(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """Equal samples, whatever file they are in: across splits, across groups, within a group; and their truths."""
    same: dict[str, list[CaseFacts]] = {}
    for case in cases:
        if case.image:
            same.setdefault(case.image.pixels, []).append(case)
    copies = [together for together in same.values() if len(together) > 1]
    sides = by_side((together, "") for together in copies)
    return [
        *finding(
            FINDS,
            "duplicates_across_splits",
            sides["across"],
            lambda n: f"{counted(n, 'image')} on two sides of the split",
            "The model would be evaluated on training images. Keep one of each, or give them one group.",
        ),
        *finding(
            FINDS,
            "duplicates_of_two_groups",
            sides["between"],
            lambda n: f"{counted(n, 'image')} under several groups of one split",
            "Another split may separate them. Keep one of each, or give them one group.",
        ),
        *finding(
            FINDS,
            "duplicates",
            sides["within"],
            lambda n: f"{counted(n, 'image')} more than once in a group",
            "They count twice. Keep one of each.",
        ),
        *finding(
            FINDS,
            "duplicates_with_two_truths",
            [
                (tuple(case.id for case in together), "")
                for together in copies
                if len({case.truth.digest for case in together if case.truth}) > 1
            ],
            lambda n: f"{counted(n, 'image')} with two different truths",
            "One of them is wrong, or they are from two annotators, whose agreement then limits every score.",
        ),
    ]
