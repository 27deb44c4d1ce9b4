"""The table of slices: one row per slice, and one group for all images of a patient, over several conversions."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from delineate.audit import patient
from delineate.core import Case
from delineate.files import whole_file

TABLE, KEY = "slices.csv", ".slices.key"
COLUMNS = (
    "id", "image", "mask", "case", "group", "patient", "slice", "position", "spacing_slice", "spacing_row",
    "spacing_column",
)  # fmt: skip
"""Columns of the table of slices. One of `image` and `mask` is filled, by what was converted."""

KEY_BYTES = 32


@dataclass
class SliceTable:
    """The table `slices.csv` in a folder, and the key of its column `patient` in `.slices.key`.

    The column holds a digest of DICOM's PatientID with a random key, so that a later conversion into the same folder
    finds the images of the same patient. The PatientID itself is not written.
    """

    folder: Path
    rows: list[dict[str, str]]
    key: bytes

    @classmethod
    def read(cls, folder: Path) -> SliceTable:
        """The table in a folder, which may be new.

        Raises:
            ValueError: a table of another program, or a damaged key.
        """
        table, key = folder / TABLE, folder / KEY
        rows = []
        if table.exists() or table.is_symlink():
            columns: Sequence[str] | None = None
            with (
                suppress(OSError, UnicodeDecodeError, csv.Error),
                open(table, newline="", encoding="utf-8") as file,
            ):
                reader = csv.DictReader(file, restval="")
                columns = reader.fieldnames
                rows = list(reader)
            if tuple(columns or ()) != COLUMNS:
                raise ValueError(
                    f"{table}: was not written by delineate convert, or by an earlier version. Give another --out."
                )
        known = key.read_bytes() if key.exists() else b""
        if known and len(known) != KEY_BYTES:
            raise ValueError(
                f"{key}: has {len(known)} bytes; expected {KEY_BYTES}. Give another --out."
            )
        return cls(folder, rows, known)

    def by_patient(self, cases: Sequence[Case]) -> list[tuple[Case, str]]:
        """The cases with one group for each PatientID, and the digests of it, "" without one.

        A patient keeps the group that the table has; a new one gets the id of the first case. A case that is in the
        table with the same patient, or without one, keeps its group.

        Raises:
            ValueError: the table has patients, and the key by which they are recognized is lost.
        """
        fresh = not self.key
        key = self.key or secrets.token_bytes(KEY_BYTES)
        digests = [patient(case.image_files[0], key) for case in cases]
        ids = {case.id for case in cases}
        if fresh and any(digests):
            if any(row["patient"] for row in self.rows if row["case"] not in ids):
                raise ValueError(
                    f"{self.folder / KEY}: is missing, so the patients in {TABLE} cannot be recognized. Restore it, or "
                    "give another --out."
                )
            self.key = key
        before = {row["case"]: row for row in self.rows}
        groups: dict[str, str] = {}
        for row in self.rows:
            if row["patient"]:
                groups.setdefault(row["patient"], row["group"])
        found = []
        for case, digest in zip(cases, digests, strict=True):
            known = before.get(case.id)
            if known is not None and known["patient"] == digest:
                group = known["group"]
            elif digest:
                group = groups.setdefault(digest, case.id)
            else:
                group = case.id
            found.append((replace(case, group=group), digest))
        return found

    def write(self, rows: Mapping[str, Sequence[Mapping[str, str]]]) -> Path:
        """Write the rows of some cases; those of others stay."""
        kept = [row for row in self.rows if row["case"] not in rows]
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows([*kept, *(row for id in rows for row in rows[id])])
        path, key = self.folder / TABLE, self.folder / KEY
        if self.key and not key.exists():
            with whole_file(key) as part:
                part.write_bytes(self.key)
        with whole_file(path) as part:
            part.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))
        return path
