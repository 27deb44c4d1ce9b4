"""A split as a CSV with the columns id and split."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from delineate.core import Splits
from delineate.data._table import rows_by_id


def read_split(path: Path) -> dict[str, str]:
    """The split of each id; a column stem is as good as id.

    Raises:
        ValueError: no such columns, an id twice, or a field that is empty.
    """
    rows = rows_by_id(path)
    for id, row in rows.items():
        if not row.get("split"):
            raise ValueError(
                f"{path}: no split for {id!r}; expected a column split, filled everywhere."
            )
    return {id: row["split"] for id, row in rows.items()}


def write_split(splits: Splits, path: str | Path) -> None:
    """Write which case is in which split, as `split:` of a recipe reads it."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("id", "split"))
    rows.writerows((case.id, name) for name, cases in splits.items() for case in cases)
    Path(path).write_text(text.getvalue(), encoding="utf-8")
