"""Cases parted by how large the object is in the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delineate.evaluation.table.row import Row


def split_by_size(rows: Sequence[Row], parts: int) -> dict[str, list[Row]]:
    """Rows in parts of as many, from small to large, by the sizes in words; equal sizes are in one part.

    Raises:
        ValueError: fewer than two parts.

    >>> rows = [Row(str(i), str(i), "polyp", truth_size=float(i), unit="px²") for i in (1, 2, 5, 6, 8, 9)]
    >>> {words: len(part) for words, part in split_by_size(rows, 3).items()}
    {'small: up to 2 px²': 2, 'medium: 5 to 6 px²': 2, 'large: from 8 px²': 2}
    """
    if parts < 2:
        raise ValueError(f"parts is {parts}; expected at least 2.")
    there = sorted((row for row in rows if row.truth_size), key=lambda row: row.truth_size or 0)
    sizes = np.array([row.truth_size for row in there], dtype=np.float64)
    if len({row.unit for row in there}) != 1 or len(np.unique(sizes)) < parts:
        return {}
    edges = np.quantile(sizes, np.arange(1, parts) / parts)
    part = np.searchsorted(edges, sizes)
    names = _names(parts)
    split = {}
    for i in range(parts):
        rows = [row for row, p in zip(there, part, strict=True) if p == i]
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
    """Three digits that count: 12,300 and 0.123."""
    rounded = float(f"{size:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
