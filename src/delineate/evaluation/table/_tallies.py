"""Read and write the tallies of a table, from which pooled scores are computed, beside its CSV."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.evaluation.table.row import Row
from delineate.files import whole_file
from delineate.metrics import Empty, Tally, Traits, traits_by_name

if TYPE_CHECKING:
    from delineate.evaluation.table.table import Table

SET = ("rows", "scores", "shapes", "numbers")
"""The arrays of each set of tallies."""


def write_tallies(table: Table, path: Path) -> None:
    """Write <stem>.tallies.npz beside the table's `path`; remove it for a table of plain scores.

    "about" is JSON: the traits of each metric, whether the cases are independent and the caveats, the case and label of
    each row, and of each set of tallies (one metric, kind and type of number) its metric and kind. Set i has the rows
    and scores of its tallies, their shapes, and their numbers end to end, in "i.rows", "i.scores", "i.shapes" and
    "i.numbers".
    """
    beside = _beside(path)
    sets: dict[tuple[str, str, str, int], list[tuple[int, Tally]]] = {}
    for i, row in enumerate(table.rows):
        for metric, score in row.scores.items():
            if isinstance(score, Tally):
                key = metric, score.kind, score.parts.dtype.str, score.parts.ndim
                sets.setdefault(key, []).append((i, score))
    plain = all(traits == traits_by_name(metric) for metric, traits in table.traits.items())
    if not sets and plain and table.independent is None and not table.caveats:
        beside.unlink(missing_ok=True)
        return
    about = {
        "traits": {metric: _plain(traits) for metric, traits in table.traits.items()},
        "independent": table.independent,
        "caveats": list(table.caveats),
        "rows": [(row.case, row.label) for row in table.rows],
        "sets": [(metric, kind) for metric, kind, _, _ in sets],
    }
    arrays = {"about": np.array(json.dumps(about))}
    for i, members in enumerate(sets.values()):
        arrays[f"{i}.rows"] = np.array([row for row, _ in members])
        arrays[f"{i}.scores"] = np.array([float(score) for _, score in members])
        arrays[f"{i}.shapes"] = np.array([score.parts.shape for _, score in members], np.int64)
        arrays[f"{i}.numbers"] = np.concatenate([score.parts.ravel() for _, score in members])
    with whole_file(beside) as part, open(part, "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_tallies(
    path: Path, rows: tuple[Row, ...], metrics: Sequence[str]
) -> tuple[tuple[Row, ...], dict[str, Traits], bool | None, tuple[str, ...]]:
    """The rows with their tallies, the traits of the metrics, whether the cases are independent, and the caveats.

    Without a file beside `path` the traits are those of the metrics' own files, and the independence is not known.

    Raises:
        ValueError: the file is damaged, or belongs to another table.
    """
    beside = _beside(path)
    if not beside.is_file():
        return rows, {metric: traits_by_name(metric) for metric in metrics}, None, ()
    try:
        with np.load(beside, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            sets = [
                (metric, kind, *(file[f"{i}.{what}"] for what in SET))
                for i, (metric, kind) in enumerate(about["sets"])
            ]
        traits = {metric: _traits(metric, known) for metric, known in about["traits"].items()}
        independent, caveats = about.get("independent"), tuple(about.get("caveats", ()))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{beside}: cannot be read ({error}). Evaluate again, or remove it to read {path.name} without "
            "pooled scores."
        ) from error
    places = {(row.case, row.label): i for i, row in enumerate(rows)}
    scores = [dict(row.scores) for row in rows]
    for metric, written_kind, members, known, shapes, numbers in sets:
        kind = written_kind
        if (
            traits_by_name(metric).pooled is not None
        ):  # the kind in an older file may have another name
            kind = metric.partition("(")[0]
        parts = np.split(numbers, np.cumsum(shapes.prod(axis=1))[:-1])
        for row, score, shape, part in zip(members, known.tolist(), shapes, parts, strict=True):
            place = places.get(tuple(about["rows"][row]), -1)
            written = scores[place].get(metric) if place >= 0 else None
            same = written == score or (written != written and score != score)
            if written is None or not same:
                raise ValueError(
                    f"{beside}: its {metric} of {', '.join(about['rows'][row])} is not that of {path.name}. "
                    "Evaluate again, or remove it to read the table without pooled scores."
                )
            scores[place][metric] = Tally.of(score, kind, part.reshape(shape))
    whole = tuple(replace(row, scores=s) for row, s in zip(rows, scores, strict=True))
    return whole, traits, independent, caveats


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.tallies.npz")


def _plain(known: Traits) -> dict[str, Any]:
    """Traits ready for JSON, without the pooled form, which is code."""
    plain = asdict(replace(known, pooled=None))
    del plain["pooled"]
    return {k: sorted(v) if isinstance(v, frozenset) else v for k, v in plain.items()}


def _traits(metric: str, written: dict[str, Any]) -> Traits:
    """The traits of a metric as a table holds them; fields that an older version did not write are from its file."""
    own = traits_by_name(metric)
    kept = {field.name: written[field.name] for field in fields(own) if field.name in written}
    if kept.get("range") is not None:
        kept["range"] = tuple(kept["range"])
    if kept.get("empty") is not None:
        kept["empty"] = Empty(**kept["empty"])
    for name in ("needs", "roles"):
        if isinstance(kept.get(name), list):
            kept[name] = frozenset(kept[name])
        else:  # an older version used other words
            kept.pop(name, None)
    return replace(own, **kept)
