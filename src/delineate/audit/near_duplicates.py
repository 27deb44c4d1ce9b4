"""Images that show the same and are not equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._alike import alike
from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, finding, many
from delineate.audit._look import pictures_of
from delineate.audit._pairs import by_side
from delineate.core import LabelSet

FINDS: Mapping[str, Level] = {
    "near_duplicates_across_splits": "refuse",
    "near_duplicates_of_two_groups": "warn",
    "near_duplicates": "note",
}


def near_duplicates(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """The same picture resized, recoloured, compressed, in another frame, turned or mirrored, or a moment later.

    The threshold (`_alike.ALIKE`, 0.75) was measured on real images, each pair looked at:

    - 700 colonoscopies (Kvasir-SEG): 13 pairs from 0.83 up, each of one picture; the next pair is below 0.5.
      10 of them share a `dup_group` of that folder; three do not, and two of these stand on two sides of the
      published split. Most of the other 44 pairs with a common `dup_group` show different places.
    - 520 colonoscopies (BKAI-IGH): 9 pairs from 0.87 up, each of one view, some in another light; the next is
      below 0.5. All share a `dup_group`, of which most of the 68 other pairs show different places.
    - 275 chest films: 9 pairs from 0.94 up, each of one film, 8 of them under two patients; the next is a film
      of the same patient on another day (0.6).
    - 112 slices of one body, 3 mm apart: 25 pairs of neighbours.
    - none in 230 fields of nuclei, 121 blood cells (highest 0.62), 28 fundus photographs, 182 small volumes.

    So precision is 56 of 56; recall of pairs with a common `dup_group` 10 of 54 and 9 of 77, and of those among
    them that are one picture, by eye, all. What is not found: the same polyp from another side, or a part of a
    picture. Only the right `group` protects from these. Images drawn by a program, not read, are left out.
    """
    # Of equal images, which are for `duplicates` to tell, one is compared.
    once = {
        case.image.pixels: (case, case.image) for case in cases if case.image and case.image.look
    }
    seen = list(once.values())
    pairs = alike([pictures_of(image.look) for _, image in seen])
    together = [
        (
            (seen[pair.first][0], seen[pair.second][0]),
            f"{pair.score:.2f} alike" + (", turned or mirrored" if pair.turned else ""),
        )
        for pair in pairs
    ]
    sides = by_side(together)
    return [
        *finding(
            FINDS,
            "near_duplicates_across_splits",
            sides["across"],
            lambda n: f"{many(n, 'pair')} of images that show the same on two sides of the split",
            "What is judged has been learnt almost by heart. Give each pair one group, or split by a column that "
            "keeps them together.",
        ),
        *finding(
            FINDS,
            "near_duplicates_of_two_groups",
            sides["between"],
            lambda n: (
                f"{many(n, 'pair')} of images that show the same under two groups of one split"
            ),
            "Another split may part them. Give each pair one group: are they of one patient?",
        ),
        *finding(
            FINDS,
            "near_duplicates",
            sides["within"],
            lambda n: f"{many(n, 'pair')} of images of one group that show the same",
            "They are on one side, where they do no harm, and count for little more than one.",
        ),
    ]
