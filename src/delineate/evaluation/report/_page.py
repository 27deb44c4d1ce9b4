"""The content of the page of a report, section by section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delineate.core import LabelSet
from delineate.evaluation.report import _figures
from delineate.evaluation.report._checklist import Item, Known, checklist
from delineate.evaluation.report._confusion import Confusion, confusion
from delineate.evaluation.report._figures import NAMED, Plot
from delineate.evaluation.report._forest import Forest, by_kind, by_label
from delineate.evaluation.report._gallery import Look, Show, look
from delineate.evaluation.report._glossary import explained
from delineate.evaluation.report._image_level import (
    Decisions,
    confident_errors,
    decisions,
    image_curves,
    image_sentences,
    is_image_level,
)
from delineate.evaluation.report._review import Review, review
from delineate.evaluation.report._scores import (
    Block,
    Overview,
    Tile,
    blocks,
    leading,
    length_unit,
    named,
    overview,
    sentences,
    tiles,
)
from delineate.evaluation.report._thresholds import thresholds
from delineate.evaluation.report._volumes import Volumes, volumes
from delineate.evaluation.report._words import one_line, several_lines
from delineate.evaluation.report.pick_gallery import pick_gallery
from delineate.evaluation.table import Table
from delineate.metrics import empty_rules

if TYPE_CHECKING:
    from delineate.audit import Finding

GALLERY = {"worst": "The worst", "median": "Around the median", "best": "The best"}

PICTURED = 4
"""Cases of each kind in the gallery."""

VOLUMES = 2
"""Volumes of each kind in the gallery, since each has nine pictures."""

FEW = 3
"""Labels whose figures are shown at first; those of the others are folded."""

MOST = 24
"""Most labels with their own figures: those of a hundred organs would take a minute and make a large file."""

Split = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Page:
    """The arguments of `write_report`, and the content of the page; each part is computed once, when it is used."""

    table: Table
    facts: Mapping[str, str]
    curves: Path | None
    gallery: Show | None
    audit: Sequence[Finding] | None
    split: Split
    card: Mapping[str, Any]
    answers: Mapping[str, str]

    @cached_property
    def sections(self) -> dict[str, str]:
        """The sections there are: id and title, in order."""
        there = {
            "short": ("In short", True),
            "scores": ("Scores", True),
            "cases": ("Case by case", self.plots),
            "fails": ("Where it fails", self.forests),
            "confusion": ("Confusion", self.confusion),
            "volumes": ("Areas" if self.areas else "Volumes", self.volumes),
            "decisions": ("Decisions", self.decisions),
            "probabilities": ("Probabilities", self.thresholds),
            "confidence": ("Confidence", self.reviews),
            "pictures": ("Pictures", self.pictures),
            "training": ("Training", self.training),
            "data": ("Data", self.split or self.audit is not None),
            "run": ("What was run", self.facts),
            "checklist": ("Checklist", True),
            "terms": ("Terms", True),
        }
        return {name: heading for name, (heading, shown) in there.items() if shown}

    @cached_property
    def scores(self) -> dict[str, Any]:
        """The table in short."""
        return self.table.scores()

    @cached_property
    def tiles(self) -> list[Tile]:
        """The figures on top."""
        return tiles(self.table, self.scores, self._leading)

    @cached_property
    def sentences(self) -> dict[str, str]:
        """The result of each label in plain words."""
        tell = image_sentences if self.image_level else sentences
        return tell(self.table, self.scores, unseen=bool(self.table.independent))

    @cached_property
    def image_level(self) -> bool:
        """Whether image-level labels were evaluated, and not masks."""
        return is_image_level(self.table)

    @cached_property
    def decisions(self) -> list[Decisions]:
        """The confusion counts over images, by label; none if masks were evaluated."""
        return decisions(self.table)

    @property
    def external(self) -> bool:
        """Whether a model was evaluated on other data than those it was made from."""
        return bool(self.split) and self.table.split not in self.split

    @cached_property
    def empties(self) -> list[tuple[str, str, str, str, str]]:
        """What the metrics give where masks are empty: their names, and what each of three cases gives."""
        if self.image_level:
            return []
        known = {named(self.table, m): self.table.traits[m] for m in self.table.metrics}
        rules = [(", ".join(of), *rule.words, "") for rule, of in empty_rules(known).items()]
        notes = [
            (name, "", "", "", traits.empty.note)
            for name, traits in known.items()
            if traits.empty and traits.empty.note
        ]
        silent = [name for name, traits in known.items() if traits.empty is None]
        untold = [(", ".join(silent), "", "", "", "not stated by its author")] if silent else []
        return [*rules, *notes, *untold]

    @cached_property
    def leaks(self) -> list[str] | None:
        """The names of the audit findings across the split; None if the split was not audited."""
        if self.external:  # `audit` is of the other data; the card tells of those with the split
            told = self.card.get("audit", {}).get("findings")
            found = None if told is None else [(one["check"], one["level"]) for one in told]
        else:
            found = None if self.audit is None else [(one.check, one.level) for one in self.audit]
        if found is None:
            return None
        return [n for n, level in found if level == "refuse" and n.endswith("_across_splits")]

    @cached_property
    def by_label(self) -> list[Forest]:
        """All labels above each other."""
        return [f for metric in self._leading for f in by_label(self.table, self.scores, metric)]

    @cached_property
    def blocks(self) -> list[Block]:
        """The table of scores."""
        return blocks(self.table, self.scores)

    @cached_property
    def overview(self) -> Overview | None:
        """A few scores of all labels."""
        return overview(self.table, self.scores)

    @cached_property
    def volumes(self) -> list[Volumes]:
        """The volumes of the labels; none without millimetres."""
        return volumes(self.table, self.scores, self._scored[:MOST])

    @property
    def areas(self) -> bool:
        """Whether the volumes are areas."""
        return any(of.unit == "cm²" for of in self.volumes)

    @cached_property
    def plots(self) -> dict[str, list[Plot]]:
        """Scores of the cases, by label."""
        found: dict[str, list[Plot]] = {}
        for label in () if self.image_level else self._scored[:MOST]:
            for metric in self._leading:
                if any(score == score for _, score in self.table.of(label, metric)):
                    drawn = _figures.distribution(self.table, metric, label)
                    by_size = _figures.by_size(self.table, metric, label)
                    found.setdefault(label, []).extend(p for p in (drawn, by_size) if p)
        return found

    @cached_property
    def undrawn(self) -> int:
        """Labels without figures of their own."""
        return max(0, len(self._scored) - MOST)

    @cached_property
    def forests(self) -> dict[str, list[Forest]]:
        """Scores of the kinds of case, by label."""
        found = {
            label: [f for m in self._leading for f in by_kind(self.table, self.scores, m, label)]
            for label in self._scored
        }
        return {label: forests for label, forests in found.items() if forests}

    @cached_property
    def confusion(self) -> Confusion | None:
        """The confusion matrix, if there is one."""
        return confusion(self.table, self.labels)

    @cached_property
    def labels(self) -> LabelSet | None:
        """The labels of the cases that are pictured; None where none is."""
        return next((look.labels for looks in self.pictures.values() for look in looks), None)

    @property
    def includes(self) -> dict[str, str]:
        """What labels include, by their names."""
        known = self.labels
        if known is None:
            return {}
        return {label.name: ", ".join(known.parts(label.name)) for label in known if label.includes}

    @cached_property
    def thresholds(self) -> list[list[Plot]]:
        """ROC, precision-recall and reliability, of as many labels at a time as there are colours."""
        labels = [label for label in self.table.labels if label != "all"]
        parts = [labels[i : i + len(NAMED)] for i in range(0, len(labels), len(NAMED))]
        if self.image_level:
            found = [image_curves(self.table, part) for part in parts]
        else:
            found = [thresholds(self.table, self.scores, part) for part in parts]
        return [plots for plots in found if plots]

    @cached_property
    def reviews(self) -> list[Review]:
        """How well the expected Dice ranks the cases, by label."""
        found = [review(self.table, label) for label in self._scored[:MOST] if label != "all"]
        return [of for of in found if of]

    @property
    def temperature(self) -> float | None:
        """What the model was calibrated by."""
        value = self.card.get("calibration", {}).get("temperature")
        return None if value is None else float(value)

    @cached_property
    def pictures(self) -> dict[str, list[Look]]:
        """The worst, middle and best cases; of image-level labels the most confident errors."""
        if self.gallery is None:
            return {}
        if self.image_level:
            return confident_errors(self.table, self.gallery, PICTURED)
        traits = self.table.traits
        beside = [m for m in self.table.metrics if "beside" in traits[m].roles]
        beside.sort(key=lambda m: not traits[m].expects)
        metrics = [*self._leading, *(beside if len(self._scored) == 1 else beside[:1])]
        metrics = list(dict.fromkeys(metrics))
        volumes = any(row.unit.endswith("³") for row in self.table.rows)
        chosen = pick_gallery(self.table, metrics[0], count=VOLUMES if volumes else PICTURED)
        return {
            GALLERY[kind]: [look(case, self.gallery, self.table, metrics) for case in cases]
            for kind, cases in chosen.items()
            if cases
        }

    @cached_property
    def training(self) -> list[Plot]:
        """The curves of the training log."""
        there = self.curves is not None and self.curves.is_file()
        best = self.card.get("training", {}).get("epoch")
        return _figures.curves(self.curves, best) if self.curves is not None and there else []

    @cached_property
    def checklist(self) -> dict[str, list[Item]]:
        """What a reviewer asks."""
        parted = dict.fromkeys(f.kind for forests in self.forests.values() for f in forests)
        known = Known(
            self.table, self.scores, self.facts, self.card, self.split, self.leaks, self.sections, list(parted)
        )  # fmt: skip
        return checklist(known, self.answers)

    @cached_property
    def terms(self) -> dict[str, str]:
        """The metrics in a reader's words."""
        unit = length_unit(self.table)
        told = {m: explained(m, self.table.traits[m], unit) for m in self.table.metrics}
        return {named(self.table, metric): words for metric, words in told.items() if words}

    @property
    def short(self) -> dict[str, str]:
        """Facts of one line."""
        return one_line(self.facts)

    @property
    def long(self) -> dict[str, str]:
        """Facts of several lines."""
        return several_lines(self.facts)

    @property
    def few(self) -> int:
        """Labels that are shown at once."""
        return FEW

    @cached_property
    def _leading(self) -> list[str]:
        """The first metric, and one of the outline; of image-level labels those on top of the page."""
        metrics = self.table.metrics
        if self.image_level:
            on_top = [m for m in metrics if "on top" in self.table.traits[m].roles]
            return list(dict.fromkeys((metrics[0], *on_top)))
        return leading(self.table, metrics)

    @cached_property
    def _scored(self) -> list[str]:
        """Labels with a score to draw."""
        return [
            label
            for label in self.table.labels
            if any(s == s for m in self._leading for _, s in self.table.of(label, m))
            or any(
                self.table.headline(label, m) == self.table.headline(label, m)
                for m in self._leading
            )
        ]
