"""CSV tables: columns about the cases, and the split of each case."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from delineate.core import Splits
from delineate.data._paths import split_ending
from delineate.words import some


class Row(dict[str, str]):
    """The fields of a row, by column.

    line: its line in the file; the last one, if the row has several lines.
    """

    line: int = 0


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV with a header; separated by commas, semicolons or tabs, with or without a BOM.

    Raises:
        ValueError: not text, no rows, a duplicate column, or a row of another length than the header.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = io.StringIO(
                file.read(), newline=""
            ).readlines()  # str.splitlines would also split at U+2028
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text; save the table as CSV (UTF-8).") from error
    header = lines[0] if lines else ""
    reader = csv.reader(lines, delimiter=max(",;\t", key=header.count))
    try:
        records = [(row, reader.line_num) for row in reader if row]
    except csv.Error as error:  # for example a field longer than 131,072 characters
        raise ValueError(f"{path}:{reader.line_num}: not a row of a CSV: {error}.") from error
    if len(records) < 2:
        raise ValueError(f"{path}: the table has no rows; expected a header and one row per case.")
    (columns, _), *rows = (([field.strip() for field in row], line) for row, line in records)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: two columns are named {twice[0]!r}.")
    found = []
    for row, line in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"{path}: the row {','.join(row)!r} has {len(row)} fields; the header has {len(columns)}."
            )
        found.append(Row(zip(columns, row, strict=True)))
        found[-1].line = line
    return found


def rows_by_id(path: Path) -> dict[str, Row]:
    """The rows of a CSV by case: by the column id or stem, or else by the stem of the column image.

    Raises:
        ValueError: as `read_table`; none of these columns; an id that is a path; or two rows for one case.
    """
    rows = read_table(path)
    key = next((name for name in ("id", "stem", "image") if name in rows[0]), None)
    if key is None:
        raise ValueError(
            f"{path} has the columns {some(rows[0], 12)}; expected one named id, stem or image. "
            "Is the first line the header?"
        )
    by_id: dict[str, Row] = {}
    for row in rows:
        id = split_ending(PurePosixPath(row[key]).name)[0] if key == "image" else row[key]
        if not id:
            raise ValueError(f"{path}: a row has no {key}: {','.join(row.values())}.")
        if "/" in id:
            raise ValueError(
                f"{path}: the {key} {id!r} is a path; expected a name without folders. "
                "Give the path in the column image."
            )
        if by_id.setdefault(id, row) is not row:
            advice = "; give each its own in a column id" if key == "image" else ""
            raise ValueError(f"{path}: two rows have the same {key} {id!r}{advice}.")
    return by_id


def read_split(path: Path) -> dict[str, str]:
    """The split of each id, from the columns id (or stem) and split.

    Raises:
        ValueError: no such columns, a duplicate id, or an empty field.
    """
    rows = rows_by_id(path)
    for id, row in rows.items():
        if not row.get("split"):
            raise ValueError(
                f"{path}: no split for {id!r}; expected a column split, filled everywhere."
            )
    return {id: row["split"] for id, row in rows.items()}


FOLD = re.compile(r"(.+\.json)(?::(\d+))?", re.DOTALL | re.IGNORECASE)
"""A splits_final.json of nnU-Net, and the number of its fold."""


def read_folds(path: Path, fold: int) -> dict[str, str]:
    """The split of each id in one fold of nnU-Net's splits_final.json: a list of {"train": [...], "val": [...]}.

    Raises:
        ValueError: not such a file, no such fold, or an id that is in two splits.
    """
    folds = read_json(path)
    if not isinstance(folds, list) or not all(
        isinstance(f, dict)
        and all(
            isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in f.values()
        )
        for f in folds
    ):
        raise ValueError(
            f"{path}: expected the splits_final.json of nnU-Net, a list of {{'train': [ids], 'val': [ids]}}."
        )
    if fold >= len(folds):
        raise ValueError(
            f"{path}: has {len(folds)} folds, and fold {fold} is asked for; expected 0 to {len(folds) - 1}."
        )
    splits: dict[str, str] = {}
    for name, ids in folds[fold].items():
        for id in ids:
            if splits.setdefault(id, name) != name:
                raise ValueError(
                    f"{path}: {id!r} is in two splits of fold {fold}: {splits[id]} and {name}."
                )
    return splits


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: not JSON; names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # also raised for text that is not UTF-8
        raise ValueError(f"{path}: not valid JSON ({error}). Copy or export it again.") from error


def write_split(splits: Splits, path: str | Path) -> None:
    """Write the split of each case to a CSV that `split:` of a recipe can read."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("id", "split"))
    rows.writerows((case.id, name) for name, cases in splits.items() for case in cases)
    Path(path).write_text(text.getvalue(), encoding="utf-8")
