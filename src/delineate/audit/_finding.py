"""The findings of checks."""

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
    """One finding of a check, with all its cases.

    check: the name of the finding, by which a recipe allows it.
    level: "refuse": results would be invalid; "warn": check the data; "note": for information.
    says: the message, without the names of cases.
    advice: what to do.
    cases: ids; each entry is one case, or several that belong together, such as a pair of duplicates.
    why: the reason of each entry of `cases`; empty if there are no reasons.
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
"""The facts of all cases, the labels -> findings."""


def finding(
    levels: Mapping[str, Level],
    check: str,
    entries: Iterable[tuple[tuple[str, ...], str]],
    says: Callable[[int], str],
    advice: str,
) -> list[Finding]:
    """A list of one finding with the level of its name, or an empty list without entries.

    entries: the cases, each with its reason; "" if `says` is enough.
    says: returns the message, from the number of entries.
    """
    entries = list(entries)
    if not entries:
        return []
    cases, why = tuple(ids for ids, _ in entries), tuple(reason for _, reason in entries)
    return [Finding(check, levels[check], says(len(cases)), advice, cases, why if any(why) else ())]


Side = Literal["across", "between", "within"]
"""Across splits; between groups of one split; within one group."""

Entry = tuple[tuple[str, ...], str]


def by_side(
    together: Iterable[tuple[Sequence[CaseFacts], str]],
) -> Mapping[Side, list[Entry]]:
    """Sort cases that belong together, with their reasons, by whether they cross splits or groups."""
    sides: dict[Side, list[Entry]] = {"across": [], "between": [], "within": []}
    for cases, why in together:
        splits = list(dict.fromkeys(case.split for case in cases))
        side: Side = "across"
        if len(splits) == 1:
            side = "within" if len({case.group for case in cases}) == 1 else "between"
        where = " and ".join(splits)
        sides[side].append((tuple(case.id for case in cases), f"{why}; {where}" if why else where))
    return sides
