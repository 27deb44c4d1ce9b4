"""Checklists for authors: each item is answered from what the program knows, or marked as open."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from delineate.evaluation.report._image_level import decisions, is_image_level
from delineate.evaluation.report._scores import named
from delineate.evaluation.table import Table
from delineate.metrics import Traits, family_of_metrics
from delineate.words import counted

Split = Mapping[str, tuple[int, int]]
"""name -> (cases, groups)"""


@dataclass(frozen=True)
class Known:
    """What the program knows of this evaluation.

    scores: `table.scores()`.
    leaks: the names of audit findings across the split; None if there was no audit.
    shown: the sections on the page.
    parted: the subgroups ("size", or a column) whose scores are on the page.
    """

    table: Table
    scores: Mapping[str, Any]
    facts: Mapping[str, str]
    card: Mapping[str, Any]
    split: Split
    leaks: Collection[str] | None
    shown: Collection[str]
    parted: Collection[str]

    @property
    def recipe(self) -> str:
        """The text of the recipe; "" if nothing was trained."""
        return self.facts.get("recipe", "")

    def of(self, which: Callable[[Traits], bool]) -> str:
        """The titles of the evaluated metrics whose traits fulfil a condition."""
        fitting = [m for m in self.table.metrics if which(self.table.traits[m])]
        return ", ".join(named(self.table, metric) for metric in fitting)

    def evaluated(self, *families: str) -> str:
        """The evaluated metrics of some families, as a sentence."""
        names = self.of(lambda traits: traits.family in families)
        return f"Evaluated: {names}." if names else ""


Answer = Callable[[Known], str]
"""Gives a sentence that is true of this evaluation, or ""."""


@dataclass(frozen=True)
class Asked:
    """An item of a checklist, in our own words.

    left_open: what the authors must add, unless it is answered; `{metrics}` is a metric of each of the families.
    closes: whether an answer is complete.
    families: families of metrics; the answer lists their evaluated metrics.
    """

    topic: str
    left_open: str
    answer: Answer | None = None
    closes: bool = False
    families: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """An item with its answer, and what is left open."""

    number: str
    topic: str
    answer: str
    left_open: str

    @property
    def state(self) -> Literal["answered", "in part", "open"]:
        """Whether it is answered."""
        if not self.left_open:
            return "answered"
        return "in part" if self.answer else "open"


def checklist(known: Known, answers: Mapping[str, str]) -> dict[str, list[Item]]:
    """The items of CLAIM 2024 by number and those of Metrics Reloaded, by the name of the list.

    answers: the authors' own, by "CLAIM 14" or by the topic of an item; they close it.

    Raises:
        ValueError: an answer to an item that does not exist.
    """
    lists = {"CLAIM 2024": ("CLAIM", CLAIM), "Metrics Reloaded": ("", METRICS)}
    names = {name for source, asked in lists.values() for name in _names(source, asked)}
    if strange := sorted(set(answers) - names):
        raise ValueError(
            f"answers: no item {strange[0]!r}; there are CLAIM 1 to CLAIM {len(CLAIM)}, and the topics of the "
            f"checklists, such as {METRICS[1].topic!r}."
        )
    return {
        name: [
            _item(str(place) if source else "", one, known, answers)
            for place, one in enumerate(asked, start=1)
        ]
        for name, (source, asked) in lists.items()
    }


def _names(source: str, asked: Sequence[Asked]) -> list[str]:
    """The names by which answers may refer to these items."""
    numbers = [f"{source} {place}" for place in range(1, len(asked) + 1)] if source else []
    return [*numbers, *(one.topic for one in asked)]


def _item(number: str, asked: Asked, known: Known, answers: Mapping[str, str]) -> Item:
    given = answers.get(f"CLAIM {number}") or answers.get(asked.topic)
    if given:
        return Item(number, asked.topic, given, "")
    answer = asked.answer(known) if asked.answer else known.evaluated(*asked.families)
    closed = asked.closes and answer
    return Item(number, asked.topic, answer, "" if closed else _left_open(asked))


def _left_open(asked: Asked) -> str:
    """What is left open, with the name of a metric that would answer it."""
    if not asked.families:
        return asked.left_open
    first = [f"“{of[0]}”" for of in map(family_of_metrics, asked.families) if of]
    return asked.left_open.format(metrics=" or ".join(first))


def _intended_use(known: Known) -> str:
    return str(known.card.get("intended_use", "")) or known.facts.get("intended use", "")


def _source(known: Known) -> str:
    sha = str(known.card.get("data", {}).get("sha256", "")) or known.facts.get("data SHA-256", "")
    return f"The files are fixed by their SHA-256, {sha[:12]}…" if sha else ""


def _says(known: Known, *keys: str) -> str:
    """A reference to those of these sections that the recipe has."""
    lines = known.recipe.splitlines()
    there = [f"“{key}”" for key in keys if any(line.startswith(f"{key}:") for line in lines)]
    if not there:
        return ""
    listed = " and ".join([", ".join(there[:-1]), there[-1]] if len(there) > 1 else there)
    return f"See {listed} in the recipe, printed under “What was run”."


def _partitions(known: Known) -> str:
    parts = "; ".join(
        f"{name} {counted(cases, 'case')} of {counted(groups, 'group')}"
        for name, (cases, groups) in known.split.items()
    )
    kept = " The card of the bundle names the cases of each." if known.card.get("split") else ""
    return f"{parts[:1].upper()}{parts[1:]}.{kept}" if parts else ""


def _disjoint(known: Known) -> str:
    if not known.split or known.leaks is None or known.leaks:
        return ""
    return "By group (patient): the audit looked for groups and images on two sides of the split and found none."


def _size(known: Known) -> str:
    cases, groups = (
        counted(len(known.table.cases), "case"),
        counted(len(known.table.groups), "group"),
    )
    return f"{cases} of {groups} were evaluated."


def _libraries(known: Known) -> str:
    versions = known.card.get("versions")
    listed = ", ".join(f"{n} {v}" for n, v in versions.items()) if versions else ""
    return listed or known.facts.get("versions", "")


def _start(known: Known) -> str:
    seed = known.card.get("seed")
    return f"Seed {seed}. {_says(known, 'model')}" if seed is not None and known.recipe else ""


def _picked(known: Known) -> str:
    epoch = known.card.get("training", {}).get("epoch")
    if not epoch or not known.recipe:
        return ""
    return (
        f"The weights of epoch {epoch}, which have the best score that “trainer: monitor” in the recipe names (if it "
        "names none, the first metric on validation cases)."
    )


def _performance(known: Known) -> str:
    listed = ", ".join(named(known.table, metric) for metric in known.table.metrics)
    return f"{listed}; each explained under “Terms”."


def _uncertainty(known: Known) -> str:
    return f"Intervals: {known.scores['interval']}. No hypothesis was tested here."


def _robustness(known: Known) -> str:
    kinds = ["size of the object" if kind == "size" else kind for kind in known.parted]
    return f"Scores by {', by '.join(kinds)}, under “Where it fails”." if kinds else ""


def _internal(known: Known) -> str:
    if known.table.split not in known.split or not known.table.independent:
        return ""  # used for training or selection, or known to leak
    cases = counted(len(known.table.cases), "case")
    return f"{cases} of the split “{known.table.split}”, which the model did not learn from."


def _external(known: Known) -> str:
    if not known.split or known.table.split in known.split:
        return ""  # masks of any tool, or the run's own data
    cases = counted(len(known.table.cases), "case")
    unseen = {True: ", which are independent of the model", None: "", False: ""}
    return f"{cases} of other data, “{known.table.split}”{unseen[known.table.independent]}."


def _limitations(known: Known) -> str:
    return " ".join(known.table.caveats)


def _characteristics(known: Known) -> str:
    if not known.table.columns:
        return ""
    listed = ", ".join(f"“{name}”" for name in known.table.columns)
    return f"The data have these columns for the evaluated cases: {listed}."


def _diagnostic(known: Known) -> str:
    rates = known.of(
        lambda traits: traits.family in ("rates", "ranking", "detection", "image-level")
    )
    of = "images" if is_image_level(known.table) else "pixels, voxels or objects"
    return f"{rates}, with intervals, under “Scores”; of {of}." if rates else ""


def _failures(known: Known) -> str:
    worst = "most confident errors" if is_image_level(known.table) else "lowest scores"
    places = [
        words
        for section, words in (
            ("pictures", f"the {worst} under “Pictures”"),
            ("decisions", "misses and false alarms under “Decisions”"),
            ("size", "scores by size under “Where it fails”"),
            ("confusion", "the confusion matrix under “Confusion”"),
        )
        if section in (*known.shown, *known.parted)
    ]
    return f"Shown: {', '.join(places)}." if places else ""


def _available(known: Known) -> str:
    commit = known.card.get("commit")
    return f"Delineate at commit {str(commit)[:12]}." if commit else ""


def _task(known: Known) -> str:
    line = next((x for x in known.recipe.splitlines() if x.startswith("task:")), "")
    kind = line.removeprefix("task:").strip(" {}:")
    if kind and is_image_level(known.table):
        return f"Image-level classification ({kind}), as the recipe says."
    return f"{kind[:1].upper()}{kind[1:]} segmentation, as the recipe says." if kind else ""


def _tolerance(known: Known) -> str:
    names = known.of(lambda traits: "tolerance" in traits.arguments)
    return f"Evaluated: {names}." if names else ""


def _sizes(known: Known) -> str:
    told = []
    for label in known.table.labels[:6]:
        rows = known.table.rows_of(label)
        sizes = [row.truth_size for row in rows if row.truth_size]
        if sizes:
            low, middle, high = (
                f"{v:,.3g}" if v < 1000 else f"{v:,.0f}" for v in np.quantile(sizes, [0, 0.5, 1])
            )
            told.append(f"{label} {low} to {high} {rows[0].unit} (median {middle})")
    return f"In the truth: {'; '.join(told)}." if told else ""


def _balance(known: Known) -> str:
    told = [
        f"{of.label} {of.tp + of.fn:,} of {of.tp + of.fn + of.fp + of.tn:,}"
        for of in decisions(known.table)[:6]
    ]
    if told:
        return f"Images that show it: {', '.join(told)}."
    for label in known.table.labels[:6]:
        rows = [row for row in known.table.rows_of(label) if row.tp is not None]
        there = sum((row.tp or 0) + (row.fn or 0) for row in rows)
        total = there + sum((row.fp or 0) + (row.tn or 0) for row in rows)
        if total:
            told.append(f"{label} {100 * there / total:.2g} %")
    return f"Share of all pixels or voxels: {', '.join(told)}." if told else ""


def _empty(known: Known) -> str:
    return "“Scores” lists the value of each metric for empty masks, and the number of cases that a mean leaves out."


def _independent(known: Known) -> str:
    if len(known.table.groups) == len(known.table.cases):
        return ""
    return "Cases of one group (patient) are not independent: intervals resample whole groups."


def _aggregated(known: Known) -> str:
    return "Per label and case, then over cases; beside it, pooled over all cases. No mean over labels is formed."


CLAIM = (
    Asked("AI methodology named in the title", "the title of the paper"),
    Asked("Structured summary", "the abstract"),
    Asked(
        "Background, intended use and role",
        "the clinical background and the role of the method",
        _intended_use,
    ),
    Asked("Aims, objectives, hypotheses", "what was to be shown"),
    Asked(
        "Prospective or retrospective",
        "whether the data were collected for this study or before it",
    ),
    Asked("Study goal", "what the study is to decide"),
    Asked("Data sources", "where, when and by whom the data were collected", _source),
    Asked("Inclusion and exclusion criteria", "who was included, who was left out, and why"),
    Asked(
        "Data preprocessing",
        "what was done to the images",
        lambda k: _says(k, "prepare"),
        closes=True,
    ),
    Asked("Selection of data subsets", "whether a part of the images or of each image was chosen"),
    Asked("De-identification", "how the images were de-identified"),
    Asked("Missing data", "how missing images, masks and facts were handled"),
    Asked("Image acquisition protocol", "devices, protocols and settings"),
    Asked("How the reference standard was made", "how the reference standard was made"),
    Asked("Rationale of the reference standard", "why this reference standard and no other"),
    Asked("Source of the annotations", "who annotated, with what training and which tools"),
    Asked(
        "Annotation of the test set", "whether the test set was annotated as the rest, and by whom"
    ),
    Asked(
        "Variability of the annotators",
        "how far annotators agree with each other and with themselves",
    ),
    Asked(
        "How data were assigned to partitions", "how the split was made", _partitions, closes=True
    ),
    Asked(
        "Level at which partitions are disjoint",
        "whether by image, study, patient or site",
        _disjoint,
        closes=True,
    ),
    Asked("Intended sample size", "how the number of cases was decided on", _size),
    Asked(
        "Model",
        "the evaluated model",
        lambda k: _says(k, "model", "task", "predict", "refine"),
        closes=True,
    ),
    Asked("Software libraries", "the libraries of the evaluated model", _libraries, closes=True),
    Asked("Initialisation of parameters", "where pretrained weights came from, if any", _start),
    Asked(
        "Training approach",
        "how the model was trained",
        lambda k: _says(k, "augment", "loss", "optimizer", "schedule", "trainer"),
        closes=True,
    ),
    Asked("Selection of the final model", "how many other models were tried", _picked),
    Asked("Ensembling", "whether several models were combined"),
    Asked("Metrics of performance", "the metrics", _performance, closes=True),
    Asked("Significance and uncertainty", "how sure the scores are", _uncertainty, closes=True),
    Asked("Robustness or sensitivity", "other devices, sites, noise and settings", _robustness),
    Asked(
        "Explainability or interpretability",
        "whether any method was used, and how it was validated",
    ),
    Asked(
        "Evaluation on internal data",
        "whether the cases come from the same source as the training data",
        _internal,
        closes=True,
    ),
    Asked("Testing on external data", "cases of another site, device or time", _external),
    Asked("Clinical trial registration", "the number, or that there is none"),
    Asked("Numbers included and excluded", "how many were excluded, and why", _size),
    Asked(
        "Demographic and clinical characteristics",
        "age, sex, findings and devices in each partition",
        _characteristics,
    ),
    Asked(
        "Performance and its uncertainty",
        "the scores",
        lambda _: "Under “Scores”, each with its interval.",
        closes=True,
    ),
    Asked(
        "Diagnostic performance and its precision",
        "performance per patient, where the task is a diagnosis",
        _diagnostic,
    ),
    Asked("Failure analysis", "what the failures have in common, seen by a clinician", _failures),
    Asked("Limitations", "the limits of the study", _limitations),
    Asked("Implications for practice", "what follows for practice", _intended_use),
    Asked("Study protocol or further details", "where they can be read"),
    Asked(
        "Availability of software, model, data",
        "where code, weights and data can be had",
        _available,
    ),
    Asked("Funding", "who paid, and what part they had"),
)
"""The items of Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology:
Artificial Intelligence 6(4), 2024, in their order."""

METRICS = (
    Asked("Problem category", "semantic, instance or panoptic", _task, closes=True),
    Asked("Why these metrics", "which property matters for the clinical question"),
    Asked(
        "Overlap",
        "overlap was not evaluated; {metrics} under metrics evaluates it",
        closes=True,
        families=(
            "overlap",
            "tubular",
        ),
    ),
    Asked(
        "Boundary",
        "the boundary was not evaluated; {metrics} under metrics evaluates it",
        closes=True,
        families=("boundary",),
    ),
    Asked(
        "Tolerance of the boundary",
        "whether the tolerance of NSD suits the disagreement of annotators",
        _tolerance,
    ),
    Asked(
        "Tubular structures",
        "whether the structure is tubular; {metrics} under metrics evaluates it",
        closes=True,
        families=("tubular",),
    ),
    Asked(
        "Objects one by one",
        "whether single objects matter; {metrics} under metrics evaluates them",
        closes=True,
        families=(
            "objects",
            "detection",
        ),
    ),
    Asked("Size of structures", "whether small ones matter as much as large ones", _sizes),
    Asked("Class imbalance", "how much of the image each label takes", _balance, closes=True),
    Asked("Empty truth or prediction", "the scores of empty masks", _empty, closes=True),
    Asked("Aggregation", "over what scores are averaged", _aggregated, closes=True),
    Asked(
        "Dependent cases",
        "whether several cases come from one patient: each was taken as a group of its own",
        _independent,
        closes=True,
    ),
    Asked(
        "Calibration",
        "whether the predicted probabilities are calibrated; {metrics} under metrics evaluates it",
        closes=True,
        families=("calibration",),
    ),
    Asked("Uncertainty of the reference", "how far annotators disagree, against the scores above"),
)
"""After Maier-Hein, Reinke et al., Metrics reloaded: recommendations for image analysis validation, Nature Methods 21,
2024."""
