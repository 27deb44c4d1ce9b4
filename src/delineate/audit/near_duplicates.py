"""Images that show the same and are not equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from delineate.audit._alike import alike
from delineate.audit._case_facts import CaseFacts
from delineate.audit._finding import Finding, Level, by_side, finding
from delineate.audit._look import pictures_of
from delineate.core import LabelSet
from delineate.words import counted

FINDS: Mapping[str, Level] = {
    "near_duplicates_across_splits": "refuse",
    "near_duplicates_of_two_groups": "warn",
    "near_duplicates": "note",
}


def near_duplicates(cases: Sequence[CaseFacts], labels: LabelSet) -> list[Finding]:
    """The same picture resized, brightened, recoloured, compressed, framed, turned, mirrored or cropped a little.

    The thresholds (`_alike.ALIKE`, `_alike.SAME`) and what is found and missed were measured on real images: decision
    10. Missed are, among others, most frames of a video that are a moment apart, frames of one scene from another side,
    crops far off the middle and turns by more than some 20 degrees that are no quarter; only the right `group` protects
    from these. Images drawn by a program, not read, are left out.
    """
    # Of equal images, which `duplicates` reports, only one is compared.
    once = {
        case.image.pixels: (case, case.image) for case in cases if case.image and case.image.look
    }
    seen = list(once.values())
    pairs = alike(
        [pictures_of(image.look) for _, image in seen],
        [pictures_of(image.whole) for _, image in seen],
    )
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
            lambda n: (
                f"{counted(n, 'pair')} of images that show the same on two sides of the split"
            ),
            "The model would be evaluated on near copies of training images. Give each pair one group, or split by a "
            "column that keeps them together.",
        ),
        *finding(
            FINDS,
            "near_duplicates_of_two_groups",
            sides["between"],
            lambda n: (
                f"{counted(n, 'pair')} of images that show the same under two groups of one split"
            ),
            "Another split may separate them. Are they of one patient? Give each pair one group.",
        ),
        *finding(
            FINDS,
            "near_duplicates",
            sides["within"],
            lambda n: f"{counted(n, 'pair')} of images of one group that show the same",
            "They are in one split, where they do no harm, but add little information.",
        ),
    ]
