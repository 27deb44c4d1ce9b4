"""Read and write a table as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from delineate.evaluation.table._tallies import read_tallies, write_tallies
from delineate.evaluation.table.row import Row
from delineate.files import whole_file
from delineate.metrics import Traits

if TYPE_CHECKING:
    from delineate.evaluation.table.table import Table

FIXED = tuple(f.name for f in fields(Row) if f.name not in ("scores", "columns"))
"""The fixed columns of a table; every other column is a fact of the case, or a metric."""

FACT = "column:"
"""Prefix of the name of a column that holds a fact of the case."""

IMAGE = ("image_truth", "image_prediction", "image_probability")
"""Fixed columns that are written only if a row has a value."""

ML = {"prediction_ml": "prediction_size", "truth_ml": "truth_size"}
"""Columns for a reader of the file, and the sizes in mm³ that they hold in ml. They are not read back."""

LATER = ("truth_digest", *IMAGE)
"""Fixed columns that a table may lack; blank means not known."""


def write_table(table: Table, path: Path) -> None:
    """Write the table as CSV, and its tallies into a file beside it.

    Raises:
        ValueError: a metric has the name of a fixed column.
    """
    for metric in table.metrics:
        if metric in ("split", *FIXED, *ML) or metric.startswith(FACT):
            raise ValueError(
                f"the metric {metric!r} has the name of a fixed column of the table; give it another name."
            )
    write_tallies(table, path)
    known = {name for name in IMAGE for row in table.rows if getattr(row, name) is not None}
    columns = [name for name in FIXED if name not in IMAGE or name in known]
    facts = list(dict.fromkeys(name for row in table.rows for name in row.columns))
    volumes = ML if any(row.unit == "mm³" for row in table.rows) else {}
    with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["split", *columns, *volumes, *(FACT + name for name in facts), *table.metrics]
        )
        for row in table.rows:
            fixed = [getattr(row, name) for name in columns]
            ml = [_ml(row, size) for size in volumes.values()]
            known_facts = [row.columns.get(name) for name in facts]
            scored = [row.scores.get(metric) for metric in table.metrics]
            writer.writerow([table.split, *fixed, *ml, *known_facts, *scored])


def _ml(row: Row, name: str) -> float | None:
    """A size in mm³ as ml, rounded to 1 mm³."""
    size: float | None = getattr(row, name)
    return None if size is None or row.unit != "mm³" else round(size / 1000, 3)


def read_table(
    path: Path,
) -> tuple[str, tuple[str, ...], tuple[Row, ...], dict[str, Traits], bool | None, tuple[str, ...]]:
    """The fields of a `Table`, in order.

    Raises:
        ValueError: as `Table.load`.
    """
    columns, lines = _lines(path)
    missing = [name for name in ("split", *FIXED) if name not in (*columns, *LATER)]
    if missing:
        raise ValueError(
            f"{path}: no column {missing[0]!r}; expected a table that `delineate evaluate` wrote."
        )
    further = [name for name in columns if name not in ("split", *FIXED, *ML)]
    for number, line in lines:
        if None in line or None in line.values():
            raise ValueError(
                f"{path}, line {number}: the number of fields is not that of the columns ({len(columns)}); was it "
                "edited by hand?"
            )
    splits = sorted({line["split"] for _, line in lines})
    if len(splits) > 1:
        raise ValueError(f"{path}: holds the splits {', '.join(splits)}; expected one.")
    seen: dict[tuple[str, str], int] = {}
    for number, line in lines:
        first = seen.setdefault((line["case"], line["label"]), number)
        if first != number:
            raise ValueError(
                f"{path}, line {number}: {line['case']}, {line['label']} is in line {first} already; each label of a "
                "case has one row. Were two tables put together?"
            )
    facts = [name for name in further if name.startswith(FACT)]
    metrics = tuple(name for name in further if not name.startswith(FACT))
    try:
        rows = tuple(_row(line, facts, metrics) for _, line in lines)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}.") from error
    return splits[0] if splits else "", metrics, *read_tallies(path, rows, metrics)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns, and each line with its number."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            return columns, [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path}: is not CSV in UTF-8 ({error}); expected a table that `delineate evaluate` wrote."
        ) from error


def _row(line: Mapping[str, str], facts: Sequence[str], metrics: Sequence[str]) -> Row:
    def whole(name: str) -> int | None:
        return int(line[name]) if line[name] else None

    def size(name: str) -> float | None:
        return float(line[name]) if line.get(name) else None

    def shown(name: str) -> bool | None:
        written = line.get(name, "")
        if written not in ("", "True", "False"):
            raise ValueError(f"{name} is {written!r}; expected True, False or nothing")
        return written == "True" if written else None

    return Row(
        line["case"], line["group"], line["label"],
        whole("tp"), whole("fp"), whole("fn"), whole("tn"),
        whole("prediction_samples"), whole("truth_samples"), size("prediction_size"), size("truth_size"),
        line["unit"], {m: float(line[m]) for m in metrics if line[m]},
        {name.removeprefix(FACT): line[name] for name in facts if line[name]},
        line.get("truth_digest", ""),
        shown("image_truth"), shown("image_prediction"), size("image_probability"),
    )  # fmt: skip
