"""The folder of predictions. Files of other programs in it are not replaced, and no row of its table is lost."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from delineate.files import RunLengthTable, sha256, whole_file

TABLE, RECORD = "predictions.csv", "predictions.jsonl"

COLUMNS = (
    "image", "mask", "label", "size", "unit", "ml", "share", "objects", "confidence", "expected_dice", "review",
    "unlike_training", "shows", "presence",
)  # fmt: skip
"""Columns of the table; a row describes one label of one image."""


class Line(NamedTuple):
    """A line of the record: a file that was written. sha256 is None for a file that is still growing."""

    file: str
    sha256: str | None
    bundle: str


class PredictionFolder:
    """A folder of masks with the table `predictions.csv`, and a record of the files that each bundle wrote.

    The record, `predictions.jsonl`, has a line for each file: its name, its SHA-256 when it was written, and the
    bundle. A file is replaced only if the same bundle wrote it and it was not changed since. So a mask that a person
    corrected, or that another program wrote, is kept. Several threads may use one `PredictionFolder`, and several
    processes, each with its own, may write into one folder: lines are appended whole.

    Args:
        folder: the path; it is created if needed.
        bundle: digest of the model that writes.
    """

    def __init__(self, folder: str | Path, bundle: str) -> None:
        self.folder = Path(folder)
        self.bundle = bundle
        self._written = dict[str, list[tuple[str, str | None]]]()
        for line in _lines(self.folder / RECORD):
            self._written.setdefault(line.file, []).append((line.bundle, line.sha256))

    def refuse(self, names: Sequence[str], inputs: Sequence[Path], *, overwrite: bool) -> None:
        """Check before prediction that no file would be lost.

        Args:
            names: files that will be written, relative to the folder; the table is added.
            inputs: files that are read, and must not be replaced.
            overwrite: allow any other file to be replaced, but no folder.

        Raises:
            ValueError: two outputs have the same name, an output is an input or an existing folder, or, unless
                `overwrite`, an output exists that this bundle did not write or that was changed since.
        """
        for name, times in Counter(names).items():
            if times > 1:
                raise ValueError(
                    f"{times} images would be written to {self.folder / name}. Predict them into separate folders."
                )
        read = {_identity(path) for path in inputs}
        there = [name for name in (*names, TABLE) if os.path.lexists(self.folder / name)]
        lost = [name for name in there if _identity(self.folder / name) in read]
        if lost:
            raise ValueError(
                f"the mask would be written over the image {self.folder / lost[0]}. Give another --out."
            )
        others = {
            name: why
            for name in there
            if (why := self._not_ours(name)) and (not overwrite or (self.folder / name).is_dir())
        }
        if others:
            name, why = next(iter(others.items()))
            more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
            replace = "" if overwrite else ", or --overwrite to replace existing files"
            raise ValueError(
                f"{self.folder / name}{more} {why}; nothing was predicted. Give another --out{replace}."
            )

    @contextmanager
    def file(self, name: str, suffix: str) -> Iterator[Path]:
        """Yield a temporary path with the ending `suffix`; on success the file is renamed to `name` and recorded."""
        path = self.folder / name
        with whole_file(path, suffix=suffix) as part:
            try:
                yield part
            except OSError as error:  # name the final file, not the temporary one
                error.filename = str(path)
                raise
            except ValueError as error:
                raise ValueError(str(error).replace(str(part), str(path))) from error
            self._record(name, sha256(part))  # before the rename: a recorded file may be missing

    @contextmanager
    def table(self) -> Iterator[None]:
        """Open the table for `add`. A new row replaces the row of an earlier run for the same mask and label."""
        path = self.folder / TABLE
        rows = [] if self._not_ours(TABLE) else self._rows()
        self._record(TABLE, None)  # no hash until it is complete: it grows with every case
        self._write(rows, path)
        try:
            yield
        finally:
            latest = {(row["mask"] or row["image"], row["label"]): row for row in self._rows()}
            self._write(list(latest.values()), path)
            self._record(TABLE, sha256(path))

    def add(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Append rows to the file at once, so that a killed process loses none."""
        text = io.StringIO(newline="")
        csv.DictWriter(text, COLUMNS).writerows(rows)
        _append(text.getvalue(), self.folder / TABLE)

    def add_run_lengths(self, table: RunLengthTable, rows: Mapping[str, str]) -> None:
        """Write rows into the table of run lengths. Rows of other images that this bundle wrote before stay.

        Call `refuse` before with the name of its file.

        Raises:
            ValueError: the file that is there is damaged.
        """
        path = self.folder / table.file
        ours = path.is_file() and not self._not_ours(table.file)
        kept = table.read_rows(path) if ours else {}
        with self.file(table.file, path.suffix) as part:
            table.write({**kept, **rows}, part)

    def _not_ours(self, name: str) -> str:
        """Why a file must not be replaced; "" if this bundle wrote it, or if it does not exist."""
        path = self.folder / name
        if not os.path.lexists(path):
            return ""
        if not path.is_file():
            return "is not a file"
        if name not in self._written:
            return "was not written by delineate predict"
        ours = [digest for bundle, digest in self._written[name] if bundle == self.bundle]
        if name == TABLE and self._written[name][-1] == (
            self.bundle,
            None,
        ):  # a run that was killed
            return ""
        if not ours:
            return "was written by another bundle"
        return "" if sha256(path) in ours else "was changed since it was predicted"

    def _record(self, name: str, digest: str | None) -> None:
        self._written.setdefault(name, []).append((self.bundle, digest))
        line = json.dumps(Line(name, digest, self.bundle)._asdict())
        self.folder.mkdir(parents=True, exist_ok=True)
        _append(f"{line}\n", self.folder / RECORD)

    def _rows(self) -> list[dict[str, str]]:
        path = self.folder / TABLE
        if not path.is_file():
            return []
        with open(path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file, restval=""))

    def _write(self, rows: Sequence[Mapping[str, str]], path: Path) -> None:
        with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows(rows)


def _append(text: str, path: Path) -> None:
    """Append in one system call, so that lines of several threads or processes do not mix."""
    with open(path, "ab", buffering=0) as file:
        file.write(text.encode("utf-8"))


def _lines(path: Path) -> Iterator[Line]:
    """The lines of a record. Invalid lines, such as one that a killed process cut short, are skipped."""
    for written in path.read_bytes().split(b"\n") if path.is_file() else ():
        with suppress(ValueError, TypeError, RecursionError):
            line = Line(**json.loads(written))
            if isinstance(line.file, str):
                yield line


def _identity(path: Path) -> tuple[int, int] | str:
    """A value that is equal for two paths of one file."""
    try:
        status = path.stat()
    except OSError:
        return str(path.absolute())
    return status.st_dev, status.st_ino
