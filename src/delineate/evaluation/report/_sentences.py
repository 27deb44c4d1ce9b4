"""The result in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from delineate.evaluation.report._scores import between, named, unit_of
from delineate.evaluation.report._words import counted, decimals, number
from delineate.evaluation.stats import bootstrap, clopper_pearson, weighted_mean
from delineate.evaluation.table import Row, Table

FEWEST = 10
"""Cases of which a rate is given in percent."""


def sentences(table: Table, scores: Mapping[str, Any], *, unseen: bool) -> dict[str, str]:
    """What was found of each label, how well, and how often not at all.

    unseen: whether the cases are known to have had no part in the training.
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
    words = f"{where}, {label} was found with a mean {named(table, metric)} of {mean}"
    words += f" {unit}" if unit else ""
    ends = between(score["interval"], places)
    return words + (f" (95 % interval {ends})." if ends != "–" else ".")


def _how_often(rows: Sequence[Row]) -> list[str]:
    """How often it was not seen at all, and how often seen where there is nothing."""
    known = [row for row in rows if row.tp is not None]
    there = [row for row in known if row.truth_samples]
    absent = [row for row in known if not row.truth_samples]
    told = (
        ("It was missed altogether", [not row.tp for row in there], there, "with it"),
        ("Something was taken for it", [bool(row.fp) for row in absent], absent, "without it"),
    )
    return [
        f"{what} in {sum(so) or 'none'} of the {counted(len(of), 'case')} {which}{rate(so, of)}."
        for what, so, of, which in told
        if of
    ]


def rate(so: Sequence[bool], rows: Sequence[Row]) -> str:
    """In percent, with its interval; "" of so few that a reader sees as much.

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
