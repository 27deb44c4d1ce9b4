"""The content of the page of a comparison, section by section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from delineate.evaluation.compare import Ablation, Comparison, Difference
from delineate.evaluation.report._ablation import AblationPart, once
from delineate.evaluation.report._difference import (
    Forest,
    Line,
    Tile,
    forest,
    line,
    measured,
    sentence,
    signed,
    tile,
)
from delineate.evaluation.report._figures import Plot
from delineate.evaluation.report._forest import FEWEST
from delineate.evaluation.report._glossary import explained
from delineate.evaluation.report._page import FEW
from delineate.evaluation.report._paired import scores_in_pairs
from delineate.evaluation.report._scores import between, leading, length_unit, named, unit_of
from delineate.evaluation.report._side_by_side import ShowAll, SideBySide, side_by_side
from delineate.evaluation.report._words import (
    decimals,
    in_order,
    number,
    one_line,
    several_lines,
    whole,
)
from delineate.evaluation.table import size_column
from delineate.metrics import empty_rule
from delineate.words import counted

TILES = 4
"""Most figures at the top of the page."""

DRAWN = 8
"""Most labels of a pair with their own plots and forests."""

LARGEST = 5
"""Cases with the largest differences that are listed for each side."""

PICTURED = 3
"""Cases with pictures for each side."""


@dataclass(frozen=True)
class Far:
    """A case with a large difference in one label; gain: how much better the second is; negative if it is worse."""

    case: str
    label: str
    against: str
    name: str
    difference: str
    gain: float


@dataclass(frozen=True)
class Pair:
    """The content of the page for one pair; each part is computed once, when it is used."""

    comparison: Comparison
    against: str
    name: str
    leading: tuple[str, ...]
    gallery: ShowAll | None

    @property
    def heading(self) -> str:
        """Who is compared with whom."""
        return f"{self.name} against {self.against}"

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Over all cases."""
        return tuple(d for d in self.comparison.differences if self._mine(d))

    @cached_property
    def leaders(self) -> tuple[Difference, ...]:
        """The first metric of each label that has it, else the first that a label has."""
        found: dict[str, Difference] = {}
        for d in sorted(self.differences, key=lambda d: self.comparison.metrics.index(d.metric)):
            if d.leading[0] == d.leading[0]:
                found.setdefault(d.label, d)
        labels = self.comparison.first.labels
        leaders = sorted(found.values(), key=lambda d: labels.index(d.label))
        return tuple(d for d in leaders if d.label != "all") or tuple(leaders)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The result of each label in plain words."""
        return tuple(sentence(self.comparison, d) for d in self.leaders)

    @cached_property
    def lines(self) -> dict[str, list[Line]]:
        """By label: the means, and what they differ by."""
        return self._table(pooled=False)

    @cached_property
    def pooled(self) -> dict[str, list[Line]]:
        """By label: the scores of all cases taken together, and what they differ by."""
        return self._table(pooled=True)

    @cached_property
    def forests(self) -> dict[str, list[Forest]]:
        """By what they are of: all labels or scores above each other, then the kinds of case of each label."""
        found = {"": [f for f in (self._by_label(m) for m in self.leading) if f]}
        if not found[""]:
            found[""] = [f for f in [self._by_metric()] if f]
        for label in [d.label for d in self.leaders][:DRAWN]:
            found[label] = [f for m in self.leading if (f := self._by_kind(label, m))]
        return {name: forests for name, forests in found.items() if forests}

    @cached_property
    def plots(self) -> list[list[Plot]]:
        """Scores in pairs, by label and metric."""
        drawn = [d for d in self.differences if d.metric in self.leading and d.mean == d.mean]
        return [scores_in_pairs(self.comparison, d) for d in drawn[:DRAWN]]

    @cached_property
    def largest(self) -> tuple[list[Far], list[Far]]:
        """The cases that gain most, and those that lose most, by the leading metric."""
        far = sorted((f for d in self.leaders for f in self._far(d)), key=lambda f: -f.gain)
        return (
            [f for f in far if f.gain > 0][:LARGEST],
            [f for f in reversed(far) if f.gain < 0][:LARGEST],
        )

    @cached_property
    def pictures(self) -> dict[str, list[SideBySide]]:
        """The cases with the largest differences, side by side."""
        if self.gallery is None:
            return {}
        gained, lost = self.largest
        return {
            heading: [self._picture(far, self.gallery) for far in once(found)[:PICTURED]]
            for heading, found in (
                (f"{self.name} is better", gained),
                (f"{self.against} is better", lost),
            )
            if found
        }

    @cached_property
    def credited(self) -> list[str]:
        """Sentences on the cases in which a correct empty prediction got the best score."""
        words = []
        for d in self.leaders:
            for who, other, cases in zip(
                (d.against, d.name), (d.name, d.against), d.credited, strict=True
            ):
                if cases:
                    words.append(
                        f"In {counted(cases, 'case')} without {d.label}, the mask is empty, as it should be, for {who} "
                        f"and not empty for {other}. There {who} gets the best "
                        f"{named(self.comparison.first, d.metric)}."
                    )
        return words

    def _mine(self, d: Difference) -> bool:
        return (d.against, d.name) == (self.against, self.name)

    def _table(self, *, pooled: bool) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = {}
        for d in self.differences:
            apart = d.pooled if pooled else d.leading[0]
            if apart == apart:
                found.setdefault(d.label, []).append(line(self.comparison, d, pooled=pooled))
        return found

    def _by_label(self, metric: str) -> Forest | None:
        parts = {whole(d.label): d for d in self.differences if d.metric == metric}
        heading = f"{named(self.comparison.first, metric)} by label"
        return forest(self.comparison, heading, [("", parts)])

    def _by_metric(self) -> Forest | None:
        """Scores that share an axis: from 0 to 1, and more is better."""
        first = self.comparison.first
        parts = {
            named(first, d.metric) + ("" if d.mean == d.mean else ", pooled"): d
            for d in self.differences
            if d.label == self.leaders[0].label
            and first.traits[d.metric].range == (0.0, 1.0)
            and not d.lower_is_better
        }
        return forest(self.comparison, f"Scores of {self.leaders[0].label}", [("", parts)])

    def _by_kind(self, label: str, metric: str) -> Forest | None:
        parts: dict[str, dict[str, Difference]] = {}
        for d in (*self.differences, *self.comparison.subgroups):
            if self._mine(d) and (d.label, d.metric) == (label, metric):
                column, value = d.subgroup or ("", "All cases")
                parts.setdefault("size" if column == size_column(label) else column, {})[value] = d
        if len(parts) < 2:
            return None
        heading = f"{named(self.comparison.first, metric)}: {whole(label)}"
        groups = [(name, {v: of[v] for v in in_order(of)}) for name, of in parts.items()]
        return forest(self.comparison, heading, groups, least=FEWEST)

    def _far(self, d: Difference) -> Iterator[Far]:
        for case, against, name in self.comparison.paired(d):
            places = decimals([against, name])
            yield Far(
                case,
                d.label,
                number(against, places),
                number(name, places),
                signed(name - against, places),
                against - name if d.lower_is_better else name - against,
            )

    def _picture(self, far: Far, gallery: ShowAll) -> SideBySide:
        d = next(d for d in self.leaders if d.label == far.label)
        unit = unit_of(self.comparison.first, d.metric)
        told = (
            f"{measured(self.comparison, d)} {self.against} {far.against}, {self.name} {far.name}"
        )
        told += f" {unit}" if unit else ""
        told = f"{far.label}: {told}" if len(self.leaders) > 1 else told
        return side_by_side(far.case, told, (self.against, self.name), gallery)


@dataclass(frozen=True)
class ComparisonPage:
    """The arguments of `write_comparison`, and the content of the page; each part is computed once, when it is used."""

    comparison: Comparison
    facts: Mapping[str, str]
    about: Mapping[str, Mapping[str, str]]
    gallery: ShowAll | None
    ablation: Ablation | None = None

    @cached_property
    def steps(self) -> AblationPart | None:
        """The stages of an ablation, with their pictures; None for any other comparison."""
        if self.ablation is None:
            return None
        return AblationPart(
            self.ablation,
            tuple(self.pairs),
            self.gallery,
        )

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """What the page is about: all that were compared, or the runs of an ablation of several."""
        if self.ablation is None or len(self.ablation.runs) == 1:
            return self.comparison.names
        return tuple(self.ablation.runs)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of what is known: all that were compared, or the runs of an ablation."""
        return self.comparison.names if self.ablation is None else tuple(self.ablation.runs)

    @cached_property
    def sections(self) -> dict[str, str]:
        """The sections there are: id and title, in order."""
        there = {
            "short": ("In short", True),
            "steps": ("Step by step", self.ablation is not None),
            "scores": ("Scores", True),
            "where": ("Where they differ", any(pair.forests for pair in self.pairs)),
            "cases": ("Case by case", any(pair.plots for pair in self.pairs)),
            "far": ("Furthest apart", any(any(pair.largest) for pair in self.pairs)),
            "read": ("How to read this", True),
            "compared": ("What was compared", self.about or self.facts),
            "terms": ("Terms", True),
        }
        return {name: heading for name, (heading, shown) in there.items() if shown}

    @cached_property
    def pairs(self) -> list[Pair]:
        """Everything by pair."""
        leads = tuple(leading(self.comparison.first, self.comparison.metrics))
        return [
            Pair(self.comparison, against, name, leads, None if self.ablation else self.gallery)
            for against, name in self.comparison.pairs
        ]

    @cached_property
    def tiles(self) -> list[Tile]:
        """The figures on top."""
        pairs = self.pairs
        if self.ablation is not None:  # all steps together, of each run
            last = [list(of.values())[-1] for of in self.ablation.runs.values()]
            pairs = [pair for pair in pairs if pair.name in last]
        return [tile(self.comparison, d) for pair in pairs for d in pair.leaders][:TILES]

    @cached_property
    def means(self) -> dict[str, list[tuple[str, str, str]]]:
        """Of more than two: the name, mean and interval of each, by label, best first."""
        if len(self.comparison.tables) < 3 or self.ablation is not None:
            return {}
        return {
            f"{measured(self.comparison, d)}, {whole(d.label)}": self._ranked(d)
            for d in self.pairs[0].leaders
        }

    @cached_property
    def left_out(self) -> list[str]:
        """Which cases are not compared."""
        return [
            f"{counted(len(cases), 'case')} of {name} left out, since another table does not have them: "
            + ", ".join(cases[:8])
            + (f" and {len(cases) - 8} more" if len(cases) > 8 else "")
            for name, cases in self.comparison.left_out.items()
        ]

    @cached_property
    def known(self) -> dict[str, list[str]]:
        """What is known of each that was compared: a row by fact, a column by name."""
        facts = dict.fromkeys(fact for known in self.about.values() for fact in known)
        return {
            fact: [self.about.get(name, {}).get(fact, "–") for name in self.columns]
            for fact in facts
        }

    @property
    def short(self) -> dict[str, str]:
        """Facts of one line."""
        return one_line(self.facts)

    @property
    def long(self) -> dict[str, str]:
        """Facts of several lines."""
        return several_lines(self.facts)

    @property
    def terms(self) -> dict[str, str]:
        """The metrics in a reader's words."""
        first = self.comparison.first
        told = {
            m: explained(m, first.traits[m], length_unit(first)) for m in self.comparison.metrics
        }
        return {named(first, metric): words for metric, words in told.items() if words}

    @property
    def dependent(self) -> bool:
        """Whether the cases are known to have had a part in making one of the models."""
        return any(table.independent is False for table in self.comparison.tables.values())

    @property
    def empty_rule(self) -> str:
        """The scores of empty masks, in words."""
        first = self.comparison.first
        return empty_rule({named(first, m): first.traits[m] for m in self.comparison.metrics})

    @property
    def few(self) -> int:
        """Labels and pairs that are shown at once."""
        return FEW

    def _ranked(self, d: Difference) -> list[tuple[str, str, str]]:
        tables = self.comparison.tables
        scores = {name: table.mean(d.label, d.metric) for name, table in tables.items()}
        intervals = {name: table.interval(d.label, d.metric) for name, table in tables.items()}
        places = decimals([v for name in tables for v in (scores[name], *intervals[name])])
        known = [name for name in tables if scores[name] == scores[name]]
        known.sort(key=lambda name: scores[name] if d.lower_is_better else -scores[name])
        return [
            (name, number(scores[name], places), between(intervals[name], places)) for name in known
        ]
