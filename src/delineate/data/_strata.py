"""The kind of each group, for splits that keep the proportions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from delineate.core import Case
from delineate.data._groups import COLUMN, column_values


def strata(cases: Sequence[Case], stratify: str | None) -> dict[str, str]:
    """The kind of each group: that of most of its cases, the first by name if several tie.

    Args:
        cases: all cases.
        stratify: None: all of one kind. "labels": which labels are there, and the third its area is in
            among the cases that have any; reads every mask once. "column:NAME": a column of the cases.

    Raises:
        ValueError: another word, or no such column.
    """
    if stratify is None:
        return {}
    if stratify == "labels":
        kinds = _label_kinds(cases)
    elif stratify.startswith(COLUMN):
        kinds = column_values({case.id: case.columns for case in cases}, stratify, "stratify")
    else:
        raise ValueError(f"stratify is {stratify!r}; expected 'labels' or 'column:NAME'.")
    votes: dict[str, Counter[str]] = {}
    for case in cases:
        votes.setdefault(case.group, Counter())[kinds[case.id]] += 1
    return {
        group: min(count, key=lambda kind: (-count[kind], kind)) for group, count in votes.items()
    }


def _label_kinds(cases: Sequence[Case]) -> dict[str, str]:
    with (
        ThreadPoolExecutor() as pool
    ):  # reading files and unpacking them leaves the interpreter free
        contents = dict(zip((case.id for case in cases), pool.map(_contents, cases), strict=True))
    filled = [area for names, area in contents.values() if names]
    thirds = np.quantile(filled, (1 / 3, 2 / 3)) if filled else np.zeros(2)
    return {id: _kind(names, area, thirds) for id, (names, area) in contents.items()}


def _contents(case: Case) -> tuple[tuple[str, ...] | None, float]:
    """The labels that are there, and the fraction of the image they take; None without truth."""
    truth = case.truth
    if truth is None:
        return None, 0.0
    areas = {label.name: int(truth.mask(label.name).sum()) for label in truth.labels}
    return tuple(name for name, n in areas.items() if n), sum(areas.values()) / truth.classes.size


def _kind(names: tuple[str, ...] | None, area: float, thirds: np.ndarray) -> str:
    if not names:
        return "unlabelled" if names is None else "empty"
    return f"{'+'.join(names)} {np.searchsorted(thirds, area)}"
