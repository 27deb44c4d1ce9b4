"""What a check has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from delineate.audit._case_facts import CaseFacts
from delineate.core import LabelSet
from delineate.words import some

Level = Literal["refuse", "warn", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that a check found, with all cases concerned.

    check: its name, by which a recipe allows it.
    level: "refuse": results would be untrue; "warn": look at it; "note": worth knowing.
    says: what was found, without the names of cases.
    advice: what to do.
    cases: ids; each entry one case, or those that belong together, as the two of a pair.
    why: the reason for each entry of `cases`, or none at all.
    """

    check: str
    level: Level
    says: str
    advice: str = ""
    cases: tuple[tuple[str, ...], ...] = ()
    why: tuple[str, ...] = ()

    def line(self, limit: int = 3) -> str:
        """The finding and its first cases, for a terminal."""
        named = [" = ".join(ids) for ids in self.cases]
        if self.why and self.level == "refuse":
            named = [f"{name}: {why}" for name, why in zip(named, self.why, strict=True)]
        return f"{self.check}: {self.says}" + (f" ({some(named, limit)})" if named else "")


Check = Callable[[Sequence[CaseFacts], LabelSet], list[Finding]]
"""All that is known of the cases -> what there is to say."""


def finding(
    levels: Mapping[str, Level],
    check: str,
    entries: Iterable[tuple[tuple[str, ...], str]],
    says: Callable[[int], str],
    advice: str,
) -> list[Finding]:
    """One finding, at the level of its name, or none where there is no entry.

    entries: which cases, and why ("" if there is no more to say than `says`).
    says: what was found, given how many entries there are.
    """
    entries = list(entries)
    if not entries:
        return []
    cases, why = tuple(ids for ids, _ in entries), tuple(reason for _, reason in entries)
    return [Finding(check, levels[check], says(len(cases)), advice, cases, why if any(why) else ())]


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
