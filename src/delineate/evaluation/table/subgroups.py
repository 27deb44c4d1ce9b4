"""Subgroups of cases: those with the same value in a column, or with objects of similar size in the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from delineate.evaluation.table.row import Row
from delineate.identifiers import is_direct_identifier

MOST_VALUES = 12
"""Most different values of a column that makes subgroups."""


def subgroup_columns(cases: Iterable[tuple[str, Mapping[str, str]]]) -> tuple[str, ...]:
    """The columns that make subgroups: those with 2 to 12 values, of which at least two are shared by several groups.

    A column of direct identifiers (such as a name) makes no subgroups, since tables are passed on. A column that
    identifies the group makes none either, since several groups never share its values.

    Args:
        cases: the group (patient) of each case, and its facts by column; a blank fact is not known.

    >>> site = [("p1", {"site": "A"}), ("p2", {"site": "A"}), ("p3", {"site": "B"}), ("p4", {"site": "B"})]
    >>> subgroup_columns(site), subgroup_columns(site[:3])
    (('site',), ())
    """
    groups: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for group, facts in cases:
        for column, value in facts.items():
            if value:
                groups[column][value].add(group)
    return tuple(
        column
        for column, of in groups.items()
        if 2 <= len(of) <= MOST_VALUES
        and sum(len(sharing) > 1 for sharing in of.values()) > 1
        and not is_direct_identifier(column)
    )


def size_column(label: str) -> str:
    """The name of the subgroups by size of a label; other subgroups have the name of their column."""
    return f"size of {label}"


def split_by_size(rows: Sequence[Row], parts: int) -> dict[str, list[Row]]:
    """Rows in parts of about equal number, from small to large, by their range of sizes; equal sizes are in one part.

    Raises:
        ValueError: fewer than two parts.

    >>> rows = [Row(str(i), str(i), "polyp", truth_size=float(i), unit="px²") for i in (1, 2, 5, 6, 8, 9)]
    >>> {words: len(part) for words, part in split_by_size(rows, 3).items()}
    {'small: up to 2 px²': 2, 'medium: 5 to 6 px²': 2, 'large: from 8 px²': 2}
    """
    if parts < 2:
        raise ValueError(f"parts is {parts}; expected at least 2.")
    sized = sorted((row for row in rows if row.truth_size), key=lambda row: row.truth_size or 0)
    sizes = np.array([row.truth_size for row in sized], dtype=np.float64)
    if len({row.unit for row in sized}) != 1 or len(np.unique(sizes)) < parts:
        return {}
    edges = np.quantile(sizes, np.arange(1, parts) / parts)
    part = np.searchsorted(edges, sizes)
    names = _names(parts)
    split = {}
    for i in range(parts):
        rows = [row for row, p in zip(sized, part, strict=True) if p == i]
        if rows:
            split[f"{names[i]}: {_range(rows, i, parts)}"] = rows
    return split if len(split) > 1 else {}


def _names(parts: int) -> list[str]:
    if parts == 3:
        return ["small", "medium", "large"]
    return [f"{i} of {parts}" for i in range(1, parts + 1)]


def _range(rows: Sequence[Row], part: int, parts: int) -> str:
    least, most = (_words(rows[end].truth_size or 0.0) for end in (0, -1))
    unit = rows[0].unit
    if part == 0:
        return f"up to {most} {unit}"
    return f"from {least} {unit}" if part == parts - 1 else f"{least} to {most} {unit}"


def _words(size: float) -> str:
    """A number with three significant digits: 12,300 and 0.123."""
    rounded = float(f"{size:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
