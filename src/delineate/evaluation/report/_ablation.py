"""The section of an ablation: what each stage scores and gains, and cases before and after each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from delineate.evaluation.compare import UNCHANGED, Ablation, Difference
from delineate.evaluation.report._difference import between, measured, side, signed
from delineate.evaluation.report._scores import between as ends
from delineate.evaluation.report._scores import named
from delineate.evaluation.report._side_by_side import ShowAll, SideBySide, side_by_side
from delineate.evaluation.report._words import decimals, number, whole

if TYPE_CHECKING:
    from delineate.evaluation.report._comparison import Far, Pair

STEPPED, STEPPED_LOSSES = 5, 2
"""Cases with pictures of every stage of an ablation, and how many of them lose by a step, where there are any."""


@dataclass(frozen=True)
class Score:
    """A score of one stage in words: its mean, and what it differs by from the first stage and from the one before.

    first, before: each the difference and its interval.
    side: "name" or "against" where the difference from the first stage is shown, else "".
    """

    mean: str
    interval: str
    first: tuple[str, str]
    before: tuple[str, str]
    side: str


@dataclass(frozen=True)
class AblationPart:
    """The section of an ablation: a table for each metric, and pictures of cases before and after each step."""

    ablation: Ablation
    pairs: tuple[Pair, ...]
    gallery: ShowAll | None

    @cached_property
    def tables(self) -> dict[str, tuple[list[str], dict[str, dict[str, list[Score]]]]]:
        """By metric: the labels, and by run and stage the scores of each label."""
        found: dict[str, tuple[list[str], dict[str, dict[str, list[Score]]]]] = {}
        first = self.ablation.comparison.first
        for of in self.ablation.stages:
            arrow = " ↓" if first.traits[of.metric].lower_is_better else ""
            labels, runs = found.setdefault(named(first, of.metric) + arrow, ([], {}))
            if whole(of.label) not in labels:
                labels.append(whole(of.label))
            places = decimals([of.mean, *of.interval])
            scores = runs.setdefault(of.run, {}).setdefault(of.stage, [])
            scores.append(
                Score(
                    number(of.mean, places),
                    ends(of.interval, places) if of.interval.known else "",
                    _apart(of.first),
                    _apart(of.before),
                    "" if of.first is None else side(of.first),
                )
            )
        return found

    @cached_property
    def pictures(self) -> dict[str, list[SideBySide]]:
        """By run: the cases that the steps change most, with a picture of each stage."""
        if self.gallery is None:
            return {}
        found = {}
        for run, tables in self.ablation.runs.items():
            names = list(tables.values())
            found[run] = [
                side_by_side(f.case, self._told(f, tables), names, self.gallery, list(tables))
                for f in self._chosen(names)
            ]
        return {run: looks for run, looks in found.items() if looks}

    def _chosen(self, names: Sequence[str]) -> list[Far]:
        """Up to five cases: those that gain most after any step, and two that lose most, where there are any."""
        pairs = [pair for pair in self.pairs if pair.name in names]
        gained = once(sorted((f for p in pairs for f in p.largest[0]), key=lambda f: -f.gain))
        lost = once(sorted((f for p in pairs for f in p.largest[1]), key=lambda f: f.gain))
        every = lost
        lost = lost[: max(STEPPED_LOSSES, STEPPED - len(gained))]
        taken = {f.case for f in lost}
        gained = [f for f in gained if f.case not in taken][: STEPPED - len(lost)]
        seen = taken | {f.case for f in gained}
        more = [f for f in once(every) if f.case not in seen]
        return gained + lost + more[: STEPPED - len(gained) - len(lost)]

    def _told(self, far: Far, tables: Mapping[str, str]) -> str:
        """The score of every stage."""
        comparison = self.ablation.comparison
        d = next(d for pair in self.pairs for d in pair.leaders if d.label == far.label)
        columns = [comparison.tables[name].of(d.label, d.metric) for name in tables.values()]
        scores = [{row.case: score for row, score in of}.get(far.case) for of in columns]
        places = decimals(scores)
        told = ", ".join(
            f"{s} {number(score, places)}" for s, score in zip(tables, scores, strict=True)
        )
        return f"{far.label}: {measured(comparison, d)} {told}"


def _apart(d: Difference | None) -> tuple[str, str]:
    if d is None or d.leading[0] != d.leading[0]:
        return "", ""
    apart, interval = d.leading
    places = decimals([*d.scores, apart])
    if d.ties == d.cases and not apart:
        return signed(apart, places), UNCHANGED
    return signed(apart, places), between(interval, places) if interval.known else ""


def once(far: Sequence[Far]) -> list[Far]:
    """Each case once."""
    first: dict[str, Far] = {}
    for f in far:
        first.setdefault(f.case, f)
    return list(first.values())
