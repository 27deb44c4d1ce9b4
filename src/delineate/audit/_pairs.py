"""Cases that belong together, by where they stand in the split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from delineate.audit._case_facts import CaseFacts

Side = Literal["across", "between", "within"]
"""Across splits; within one split, but of several groups; within one group of one split."""

Entry = tuple[tuple[str, ...], str]


def by_side(
    together: Iterable[tuple[Sequence[CaseFacts], str]],
) -> Mapping[Side, list[Entry]]:
    """The entries of a finding for each side, of cases that belong together and why."""
    sides: dict[Side, list[Entry]] = {"across": [], "between": [], "within": []}
    for cases, why in together:
        splits = list(dict.fromkeys(case.split for case in cases))
        side: Side = "across"
        if len(splits) == 1:
            side = "within" if len({case.group for case in cases}) == 1 else "between"
        where = " and ".join(splits)
        sides[side].append((tuple(case.id for case in cases), f"{why}; {where}" if why else where))
    return sides
