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
    """The same picture resized, recoloured, compressed, framed, turned, mirrored, cropped a little, or a moment later.

    The threshold (`_alike.ALIKE`, 0.75) was measured on real images, each pair looked at:

    - 700 colonoscopies (Kvasir-SEG): 13 pairs from 0.83 up, each of one picture; the next pair is at 0.50.
      10 of them share a `dup_group` of that folder; three do not, and two of these stand on two sides of the
      published split. Most of the other 44 pairs with a common `dup_group` show different places.
    - 520 colonoscopies (BKAI-IGH): 9 pairs from 0.87 up, each of one view, some in another light; the next is
      at 0.53. All share a `dup_group`, of which most of the 68 other pairs show different places.
    - 275 chest films: 10 pairs from 0.92 up, each of one film, 9 of them under two patients, one of these
      cropped and lightened by another publisher; the next, two films of one patient, is at 0.73, near the threshold.
    - 112 slices of one body, 3 mm apart: 25 pairs of neighbours.
    - none in 230 fields of nuclei, 121 blood cells (highest 0.61), 28 fundus photographs, 38 fields of tissue, 182
      small volumes, and 43 other colonoscopies (highest 0.63: two frames of one video, which are missed).

    So, but for the slices, precision is 32 of 32; recall of pairs with a common `dup_group` 10 of 54 and
    9 of 77, and of those among them that are one picture, by eye, all.

    Altered copies, JPEG at quality 75, searched for among all pictures of their folder, found of 40 colonoscopies
    (Kvasir-SEG), 30 (BKAI-IGH), 30 chest films and 20 fields of nuclei; px are those of a picture 352 px wide:

        cropped by 5, 10 or 15 px a side          40   30   30   15 to 17
        cropped by 20 px; by 35 px                40   30, 29   30, 28   15, 14
        turned by 2, 4, 6, 10 or 15 degrees       40   30   30   18 to 19
        0.9 or 0.8 as large, on black             40   30   30   20
        turned by 10 degrees, cut within          40   30   29   16
        20 px off two sides only                  40   30   19   11
        40 px off two sides only                  15   18    4    0
        mirrored by chance, turned up to 10 degrees, up to 1.15 as large, moved up to 4 %:   40   30   25   14

    Of 20 pictures of each of the first three, turned by 20 degrees 20, 20 and 18 are found, by 25 degrees
    17, 0 and 5; cropped by 45 px a side 18, 18 and 11, by 60 px none. The search was set by the pictures of the table;
    as many others were found as often, but for nuclei: 16 to 17 of 20 turned or smaller.

    Not found: the same polyp from another side, a part of a picture, a crop far off the middle, a turn beyond some
    20 degrees that is not a quarter; volumes are searched for in other sizes, but not turned by degrees. Fields of
    small dots are missed most, some for want of a candidate, some for being less than 0.75 alike. Only the right
    `group` protects from these. Images drawn by a program, not read, are left out.

    Once they are read, 9,775 pictures and quarters of pictures took 38 s on one core, 9,625 variants of chest films
    45 s, with half a gigabyte at most; twice as many pictures take up to four times as long.
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
