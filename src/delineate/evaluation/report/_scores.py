"""The scores of a report: tiles, table and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from delineate.evaluation.report._glossary import explained
from delineate.evaluation.report._words import decimals, number, title, whole
from delineate.evaluation.stats import bootstrap, clopper_pearson, weighted_mean
from delineate.evaluation.table import Row, Table, cases_scored
from delineate.words import counted

FEWEST = 10
"""Cases of which a rate is given in percent."""


@dataclass(frozen=True)
class Line:
    """One metric of one label, in words.

    best: an arrow to the better side, where that is not the larger number.
    hidden: errors that the mean leaves out.
    """

    name: str
    says: str
    unit: str
    best: str
    mean: str
    interval: str
    median: str
    pooled: str
    pooled_interval: str
    cases: str
    hidden: str = ""
    pooled_leads: bool = False


@dataclass(frozen=True)
class Block:
    """All that is told of one label."""

    label: str
    empties: str
    lines: tuple[Line, ...]


def blocks(table: Table, scores: Mapping[str, Any]) -> list[Block]:
    """One block per label, in order; `scores` is `table.scores()`."""
    return [_block(table, label, about) for label, about in scores["labels"].items()]


@dataclass(frozen=True)
class Tile:
    """One figure on top of the page.

    at, low, high: where it and its interval lie between 0 and 1, in percent from the left, and from the right for
    the high end; drawn only where that is known.
    """

    name: str
    figure: str
    unit: str
    interval: str
    at: float = 0.0
    low: float = 0.0
    high: float = 0.0
    drawn: bool = False


@dataclass(frozen=True)
class Overview:
    """A few scores of all labels, a row each.

    columns: name of the metric, what it says, and what the score is: "mean of cases" or "cases pooled".
    rows: label, and a score and its interval for each column.
    whole: scores of the image as a whole, in words.
    """

    columns: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    whole: str


def overview(table: Table, scores: Mapping[str, Any]) -> Overview | None:
    """Dice, IoU, recall and AUROC of all labels beside each other; None for fewer than two labels or metrics.

    AUROC is that of the ROC curves, which are of all cases together; the other scores are means over the cases.
    """
    chosen = [m for m in table.metrics if "overview" in table.traits[m].roles]
    of = {
        label: about["metrics"]
        for label, about in scores["labels"].items()
        if any(m in about["metrics"] for m in chosen)
    }
    whole = of.pop("all", {})
    columns = [m for m in chosen if any(m in known for known in of.values())]
    if len(of) < 2 or len(columns) < 2:
        return None
    over = {m: "pooled" if table.traits[m].curve else "mean" for m in columns}

    def told(score: Mapping[str, Any] | None, which: str) -> tuple[str, str]:
        if score is None:
            return "", ""
        ends = score["pooled_interval" if which == "pooled" else "interval"]
        return number(score[which]), between(ends).replace("–", "")

    return Overview(
        tuple(
            (
                named(table, m),
                explained(m, table.traits[m], length_unit(table)),
                "cases pooled" if over[m] == "pooled" else "mean of cases",
            )
            for m in columns
        ),
        tuple(
            (name, tuple(told(known.get(m), over[m]) for m in columns))
            for name, known in of.items()
        ),
        " ".join(
            f"{named(table, m)} of the whole image, background included: {score}"
            + (f" (95 % interval {ends})." if ends else ".")
            for m, (score, ends) in ((m, told(whole[m], "mean")) for m in chosen if m in whole)
        ),
    )


def tiles(
    table: Table, scores: Mapping[str, Any], leading: Sequence[str], most: int = 4
) -> list[Tile]:
    """The leading metrics of one or two labels, the first of them of more, `most` at most; one label has three."""
    labels = [label for label in table.labels if any(table.of(label, leading[0]))]
    if len(labels) == 1:
        on_top = [m for m in table.metrics if "on top" in table.traits[m].roles]
        metrics = dict.fromkeys((*leading, *on_top, *table.metrics))
        told = [(labels[0], m) for m in metrics if any(table.of(labels[0], m))][:3]
    else:
        metrics = dict.fromkeys(leading[: most // 2] if len(labels) == 2 else leading[:1])
        told = [(label, m) for label in labels for m in metrics if any(table.of(label, m))][:most]
    return [_tile(table, label, m, scores["labels"][label]["metrics"][m]) for label, m in told]


def leading(table: Table, metrics: Sequence[str]) -> list[str]:
    """The first of these metrics, and one of the outline: of the full set if there is such, a share before a length."""
    traits = table.traits
    outlines = [metric for metric in metrics if traits[metric].family == "boundary"]
    rank = {m: (traits[m].place is None, traits[m].unit == "length") for m in outlines}
    return list(
        dict.fromkeys((metrics[0], min(outlines, key=rank.__getitem__, default=metrics[0])))
    )


def length_unit(table: Table) -> str:
    """What distances are measured in: mm or px."""
    return next((row.unit.rstrip("²³") for row in table.rows if row.unit), "")


def named(table: Table, metric: str) -> str:
    """A metric's name as it is read, with its arguments in the unit of the table."""
    return title(metric, table.traits[metric], length_unit(table))


def unit_of(table: Table, metric: str) -> str:
    """What a metric is measured in; "" for a pure number."""
    return length_unit(table) if table.traits[metric].unit == "length" else ""


def between(ends: Sequence[float | None], places: int = 3) -> str:
    """An interval in words, a dash where there is none."""
    low, high = (number(end, places) for end in ends)
    return "–" if low == "–" else f"{low} to {high}"


def _tile(table: Table, label: str, metric: str, score: Mapping[str, Any]) -> Tile:
    name = f"{named(table, metric)}, {whole(label)}"
    pooled = table.traits[metric].pooled_only
    value, ends = (
        (score["pooled"], score["pooled_interval"])
        if pooled
        else (score["mean"], score["interval"])
    )
    if value is None:
        return Tile(name, "–", "", score.get("reason", "no case to score"))
    places = decimals([value, *ends])
    figure, unit = number(value, places), unit_of(table, metric)
    if ends[0] is None:
        return Tile(
            name, figure, unit, "one group: no interval" if score["groups"] == 1 else "no interval"
        )
    words = f"95 % interval {between(ends, places)}"
    if table.traits[metric].range != (0.0, 1.0) or ends[0] < 0 or ends[1] > 1:
        return Tile(name, figure, unit, words)
    at, low, high = (round(100 * v, 2) for v in (value, *ends))
    return Tile(name, figure, unit, words, at, low, round(100 - high, 2), drawn=True)


def _block(table: Table, label: str, about: Mapping[str, Any]) -> Block:
    lines = []
    roles = {metric: table.traits[metric].roles for metric in about["metrics"]}
    told_otherwise = next((metric for metric, of in roles.items() if "empty means" in of), "")
    for metric, score in about["metrics"].items():
        known = table.traits[metric]
        pooled = score["pooled"]
        places = decimals([score["mean"], *score["interval"], score["median"], pooled])
        lines.append(
            Line(
                named(table, metric), explained(metric, known, length_unit(table)), unit_of(table, metric),
                "↓" if known.lower_is_better else "→ 0" if known.signed else "",
                number(score["mean"], places), between(score["interval"], places),
                number(score["median"], places), number(pooled, places), between(score["pooled_interval"], places),
                *cases_scored(score), known.pooled_only,
            )
        )  # fmt: skip
        if metric == told_otherwise and about["empty_truth"]:
            lines += _otherwise(about, metric, named(table, metric))
    return Block(label, _empties(about), tuple(lines))


def _otherwise(about: Mapping[str, Any], metric: str, name: str) -> list[Line]:
    """A score under the two other rules for empty cases that one meets in print; told where they make a difference."""
    others = [
        (f"{metric}_mean_nonempty", f"{name} where the truth has it",
         "The mean over the cases whose truth has the label: predictions in other cases do not count.",
         about["cases"] - about["empty_truth"]),
        (f"{metric}_mean_empty1", f"{name}, both empty counted as 1",
         "The mean over all cases; a case in which truth and prediction are empty counts as 1, as in many challenges.",
         about["cases"]),
    ]  # fmt: skip
    return [
        Line(heading, says, "", "", number(about.get(key)), "", "", "", "", f"{cases:,}")
        for key, heading, says, cases in others
        if about.get(key) is not None
    ]


def _empties(about: Mapping[str, Any]) -> str:
    if "images_with" in about:
        words = f"shown by {about['images_with']:,} of {counted(about['cases'], 'image')}"
        unknown = about["images_unknown"]
        return f"{words}; not known for {unknown:,}" if unknown else words
    cases, truth, prediction = about["cases"], about["empty_truth"], about["empty_found"]
    if not truth and not prediction:
        return ""
    words = f"in the truth of {cases - truth:,} of {counted(cases, 'case')}, predicted in {cases - prediction:,}"
    one = about["only_one_empty"]
    return f"{words}; in {one:,} only one of the two has it" if one else words


def sentences(table: Table, scores: Mapping[str, Any], *, unseen: bool) -> dict[str, str]:
    """The result of each label as sentences: the mean score, missed cases and false alarms.

    unseen: whether the cases are known to be independent of the model.
    """
    metric = table.metrics[0]
    told = {}
    for label, about in scores["labels"].items():
        score = about["metrics"].get(metric)
        if label == "all" or not score or score["mean"] is None:
            continue
        well = _how_well(table, label, metric, score, unseen=unseen)
        told[label] = " ".join([well, *_how_often(table.rows_of(label))])
    return told


def _how_well(
    table: Table, label: str, metric: str, score: Mapping[str, Any], *, unseen: bool
) -> str:
    every, n = len(table.cases), score["cases"]
    groups = len({row.group for row, value in table.of(label, metric) if value == value})
    where = counted(n, "unseen case" if unseen else "case")
    where += f" of {counted(groups, 'group')}" if groups != n else ""
    where = (
        f"In {where}" if n == every else f"In the {where} that can be scored, of {every:,} in all"
    )
    places = decimals([score["mean"], *score["interval"]])
    unit = unit_of(table, metric)
    mean = number(score["mean"], places)
    words = f"{where}, {label} was segmented with a mean {named(table, metric)} of {mean}"
    words += f" {unit}" if unit else ""
    ends = between(score["interval"], places)
    return words + (f" (95 % interval {ends})." if ends != "–" else ".")


def _how_often(rows: Sequence[Row]) -> list[str]:
    """How often the label was missed completely, and how often it was predicted in a case without it."""
    known = [row for row in rows if row.tp is not None]
    there = [row for row in known if row.truth_samples]
    absent = [row for row in known if not row.truth_samples]
    told = (
        ("It was missed completely", [not row.tp for row in there], there, "with it"),
        ("It was falsely predicted", [bool(row.fp) for row in absent], absent, "without it"),
    )
    return [
        f"{what} in {sum(so) or 'none'} of the {counted(len(of), 'case')} {which}{rate(so, of)}."
        for what, so, of, which in told
        if of
    ]


def rate(so: Sequence[bool], rows: Sequence[Row]) -> str:
    """A rate in percent with its interval; "" for fewer than FEWEST cases.

    Cases of one group are not independent, so the interval of Clopper and Pearson is for groups of one case only.
    """
    if len(so) < FEWEST:
        return ""
    groups = [row.group for row in rows]
    if len(set(groups)) == len(groups):
        interval = clopper_pearson(sum(so), len(so))
    else:
        interval = bootstrap(partial(weighted_mean, np.array(so, float)), groups, bounds=(0, 1))
    percent = f"{100 * sum(so) / len(so):.1f} %"
    if not interval.known:
        return f" ({percent})"
    return f" ({percent}, 95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f} %)"
