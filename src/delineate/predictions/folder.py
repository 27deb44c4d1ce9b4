"""The folder of predictions. Files of other programs in it are not replaced, and no row of its table is lost."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any, NamedTuple

from delineate.core import Case
from delineate.files import RunLengthTable, clear_parts_once, sha256, whole_file

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


class Finished(NamedTuple):
    """A line of the record: a case all of whose files and rows were written, and what they were made from.

    case: id of the case.
    inputs: `digest_of` the case.
    bundle: digest of the model.
    options: digest of the options.
    files: the SHA-256 of each file that was written, by its name.
    prediction: the fields of the `CasePrediction`.
    """

    case: str
    inputs: str
    bundle: str
    options: str
    files: Mapping[str, str]
    prediction: Mapping[str, Any]


class PredictionFolder:
    """A folder of masks with the table `predictions.csv`, and a record of the files that each bundle wrote.

    The record, `predictions.jsonl`, has a line for each file: its name, its SHA-256 when it was written, and the
    bundle. A file is replaced only if the same bundle wrote it and it was not changed since. So a mask that a person
    corrected, or that another program wrote, is kept. After the files of a case comes a line with all that is kept
    of it, so that an interrupted run can go on (`finished`). Several threads may use one `PredictionFolder`, and
    several processes, each with its own, may write into one folder: lines are appended whole.

    Args:
        folder: the path; it is created if needed.
        bundle: digest of the model that writes.
        options: all else that decides what is written; a case that was written with others is not `finished`.
    """

    def __init__(
        self, folder: str | Path, bundle: str, options: Mapping[str, object] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.bundle = bundle
        self.options = sha256_of(json.dumps(options, sort_keys=True).encode()).hexdigest()
        self._written = dict[str, list[tuple[str, str | None]]]()
        self._finished = dict[str, bytes]()
        for line, raw in _lines(self.folder / RECORD):
            if isinstance(line, Line):
                self._written.setdefault(line.file, []).append((line.bundle, line.sha256))
            elif (line.bundle, line.options) == (self.bundle, self.options):
                self._finished[line.case] = raw
            else:
                self._finished.pop(line.case, None)

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

    def finished(self, case: Case, names: Collection[str]) -> Mapping[str, Any] | None:
        """The fields of the `CasePrediction` of a case that need not be predicted again; None if it must be.

        It must be unless the last line of the case in the record is by the same bundle with the same options, for an
        image of the same content, and all files that it names are there and unchanged. An image that has no file is
        always predicted again.

        Args:
            case: the image.
            names: the files that may be written for it, relative to the folder.
        """
        line = _line(self._finished.get(case.id, b""))
        if not isinstance(line, Finished) or not line.inputs or line.inputs != digest_of(case):
            return None
        if not isinstance(line.files, Mapping) or not set(line.files) <= set(names):
            return None
        for name, digest in line.files.items():
            path = self.folder / name
            clear_parts_once(os.path.abspath(path.parent))  # a killed process may have left one
            if not path.is_file() or sha256(path) != digest:
                return None
        return line.prediction if isinstance(line.prediction, Mapping) else None

    @contextmanager
    def draft(self, name: str, suffix: str) -> Iterator[Path]:
        """Yield a hidden file with the ending `suffix`; at the end it is recorded and renamed to `name`."""
        with whole_file(self.folder / name, suffix=suffix) as part:
            yield part
            self._record(name, sha256(part))  # before the rename: a recorded file may be missing

    @contextmanager
    def naming(self, part: Path, name: str) -> Iterator[None]:
        """Errors inside name the final file, not the hidden one."""
        path = self.folder / name
        try:
            yield
        except OSError as error:
            error.filename = str(path)
            raise
        except ValueError as error:
            raise ValueError(str(error).replace(str(part), str(path))) from error

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

    def finish(
        self, case: str, inputs: str, files: Sequence[str], prediction: Mapping[str, Any]
    ) -> None:
        """Record that the files and rows of a case are written; see `Finished`."""
        written = {name: self._written[name][-1][1] or "" for name in files}
        line = Finished(case, inputs, self.bundle, self.options, written, prediction)
        _append(json.dumps(line._asdict()) + "\n", self.folder / RECORD)

    def add_run_lengths(self, table: RunLengthTable, rows: Mapping[str, str]) -> None:
        """Write rows into the table of run lengths. Rows of other images that this bundle wrote before stay.

        Call `refuse` before with the name of its file.

        Raises:
            ValueError: the file that is there is damaged.
        """
        path = self.folder / table.file
        ours = path.is_file() and not self._not_ours(table.file)
        kept = table.read_rows(path) if ours else {}
        with self.draft(table.file, path.suffix) as part, self.naming(part, table.file):
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
        text = path.read_bytes().decode("utf-8")
        whole = text[: text.rfind("\n") + 1]  # a full disk may have cut the last row short
        return list(csv.DictReader(io.StringIO(whole, newline=""), restval=""))

    def _write(self, rows: Sequence[Mapping[str, str]], path: Path) -> None:
        with whole_file(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows(rows)


def digest_of(case: Case) -> str:
    """SHA-256 of the content of a case's image files; "" for an image without files, or one that cannot be read."""
    total = sha256_of()
    try:
        for file in case.image_files:
            total.update(bytes.fromhex(sha256(file)))
    except OSError:  # reading the image will say so
        return ""
    return total.hexdigest() if case.image_files else ""


def _append(text: str, path: Path) -> None:
    """Append in one system call, so that lines of several threads or processes do not mix."""
    with open(path, "a+b", buffering=0) as file:
        if file.tell() and file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
            text = f"\n{text}"  # a full disk may have cut the last line short
        file.write(text.encode("utf-8"))


def _lines(path: Path) -> Iterator[tuple[Line | Finished, bytes]]:
    """The lines of a record, each also as it is written. Invalid lines, such as one that was cut short, are skipped."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        for written in file:
            line = _line(written)
            if line is not None:
                yield line, written


def _line(written: bytes) -> Line | Finished | None:
    with suppress(ValueError, TypeError, RecursionError):
        values = json.loads(written)
        line = Finished(**values) if "case" in values else Line(**values)
        if isinstance(line[0], str):
            return line
    return None


def _identity(path: Path) -> tuple[int, int] | str:
    """A value that is equal for two paths of one file."""
    try:
        status = path.stat()
    except OSError:
        return str(path.absolute())
    return status.st_dev, status.st_ino
