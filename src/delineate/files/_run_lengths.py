"""Masks as run lengths in a CSV, as challenges exchange them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from delineate.core import Geometry, LabelSet, Segmentation
from delineate.files._whole_file import whole_file
from delineate.words import some

NUMBERS = re.compile(r"[0-9]{1,18}(?: +[0-9]{1,18})*")
QUOTED_OR_PLAIN = re.compile(r'"[^"]*"|[^"]*')
NOT_IN_A_LINE = re.compile(r"[\0\n\r\ud800-\udfff]")
"""Characters that a line of UTF-8 text cannot hold; a file name that is not UTF-8 has surrogates."""


@dataclass(frozen=True)
class RunLengthCode:
    """How a mask (row, column) is written as pairs of numbers: the start and the length of each run of its pixels.

    order: "rows": pixels are counted along rows, then down. "columns": along columns, then to the right.
    first: the number of the first pixel; of gaps, what is added to the first.
    gaps: a start is the number of pixels since the end of the run before.
    empty: the text of an empty mask.

    >>> RunLengthCode().write(np.array([[0, 1, 0], [1, 1, 0]], bool))
    '2 1 4 2'
    """

    order: Literal["rows", "columns"] = "rows"
    first: int = 1
    gaps: bool = False
    empty: str = ""

    def write(self, mask: np.ndarray) -> str:
        """The text of a mask (row, column).

        Raises:
            ValueError: the mask has other than two axes.
        """
        if mask.ndim != 2:
            raise ValueError(
                f"the mask has {mask.ndim} axes; run lengths in a CSV are for pictures of 2 axes."
            )
        flat = np.zeros(mask.size + 2, np.int8)  # with background at both ends
        flat[1:-1] = mask.ravel(order="C" if self.order == "rows" else "F") != 0
        edges = np.flatnonzero(np.diff(flat))
        starts, ends = edges[::2], edges[1::2]
        if not len(starts):
            return self.empty
        before = np.concatenate(([0], ends[:-1])) if self.gaps else 0
        firsts = starts - before
        firsts[: 1 if self.gaps else None] += self.first
        return " ".join(map(str, np.stack((firsts, ends - starts), axis=1).ravel().tolist()))

    def read(self, text: str, shape: tuple[int, ...]) -> np.ndarray:
        """The mask (row, column) of a text, boolean.

        Raises:
            ValueError: the text is not pairs of numbers, or a run is empty, not after the one before, or not inside
                the shape.
        """
        flat = np.zeros(int(np.prod(shape)), bool)
        text = text.strip()
        if text != self.empty.strip():
            if not NUMBERS.fullmatch(text):
                raise ValueError(f"expected pairs of a start and a length, not {text[:40]!r}.")
            numbers = np.array(text.split(), np.int64)
            if len(numbers) % 2:
                raise ValueError(f"has {len(numbers)} numbers; expected pairs.")
            if numbers.max() > flat.size + self.first:
                raise ValueError(f"has the number {numbers.max()}; {self._pixels(shape)}.")
            starts, lengths = numbers[::2].copy(), numbers[1::2]
            starts[: 1 if self.gaps else None] -= self.first
            if self.gaps:
                starts += np.concatenate(([0], np.cumsum(starts + lengths)[:-1]))
            ends = starts + lengths
            if lengths.min() < 1 or starts[0] < 0 or (starts[1:] < ends[:-1]).any():
                raise ValueError(
                    f"expected runs of 1 pixel or more, each after the one before, from pixel {self.first} on."
                )
            if ends[-1] > flat.size:
                raise ValueError(f"a run ends at pixel {ends[-1]}; {self._pixels(shape)}.")
            change = np.zeros(flat.size + 1, np.int8)
            np.add.at(change, starts, 1)
            np.add.at(change, ends, -1)
            flat = np.cumsum(change[:-1], dtype=np.int8).view(bool)
        return flat.reshape(shape, order="C" if self.order == "rows" else "F")

    def _pixels(self, shape: Sequence[int]) -> str:
        return f"the image has {' x '.join(map(str, shape))} pixels"


@dataclass(frozen=True)
class RunLengthTable:
    """A CSV with a row for each image and class: the image and class in `columns[0]`, the mask in `columns[1]`.

    name: the name of the format.
    file: the usual name of the file.
    classes: the names of the classes. The id of a row is IMAGE_0 for the first class, IMAGE_1 for the second.
    code: how masks are written.
    """

    name: str
    file: str
    columns: tuple[str, str]
    classes: tuple[str, ...]
    code: RunLengthCode

    def labels_of(
        self, labels: LabelSet, given: Mapping[str, str | None] | None = None
    ) -> dict[str, str | None]:
        """The label of each class: that of its name, or the one that is given; None if there is none.

        Args:
            labels: those of the model.
            given: class -> label; None for a class or a label that is left out.

        Raises:
            ValueError: an unknown class or label, a class without label, a label without class or with two, or labels
                that overlap.
        """
        given = given or {}
        for name, label in given.items():
            if name not in self.classes and (label is not None or name not in labels.names):
                raise ValueError(
                    f"{self.name} has no class {name!r}; its classes are {', '.join(self.classes)}."
                )
        of = {name: given.get(name, name) for name in self.classes}
        class_of: dict[str, str] = {}
        for name, label in of.items():
            if label is None:
                continue
            if label not in labels.names:
                free = [n for n in labels.names if n not in (*of.values(), *given)]
                raise ValueError(
                    f"no label {label!r} for the class {name} of {self.name}: the labels are "
                    f"{', '.join(labels.names)}. Write --to-label {name}={free[0] if free else ''}"
                    f"{', or nothing after the =' if free else ''} if the model does not have the class."
                )
            if label in class_of:
                raise ValueError(
                    f"the label {label} is given for two classes of {self.name}, {class_of[label]} and {name}."
                )
            class_of[label] = name
        for label in labels.names:
            left_out = given.get(label, label) is None
            if label not in class_of and not left_out:
                raise ValueError(
                    f"the label {label} has no class in {self.name}, whose classes are {', '.join(self.classes)}. "
                    f"Write --to-label {label}= to leave it out."
                )
            if label in class_of and left_out and label not in self.classes:
                raise ValueError(
                    f"the label {label} is left out and given for the class {class_of[label]}."
                )
        for one, other in combinations(class_of, 2):
            if not set(labels.values_of(one)).isdisjoint(labels.values_of(other)):
                raise ValueError(
                    f"the labels {one} and {other} overlap, and masks of {self.name} must not. Leave one out: "
                    f"--to-label {class_of[one]}="
                )
        return of

    def refuse_name(self, image: str) -> None:
        """Refuse the name of an image that a line of UTF-8 text cannot hold.

        Raises:
            ValueError: the name has a line break, a null or bytes that are not UTF-8.
        """
        if NOT_IN_A_LINE.search(image):
            raise ValueError(
                f"the name {image!r} cannot be written to {self.name}: it has a line break, or is not UTF-8. "
                "Rename the file."
            )

    def rows(
        self, image: str, segmentation: Segmentation, labels: Mapping[str, str | None]
    ) -> dict[str, str]:
        """The rows of an image: id -> mask as text.

        Args:
            image: the name of the image, without folders and ending.
            segmentation: the masks.
            labels: as `labels_of`.

        Raises:
            ValueError: the image has other than two axes, or a name as in `refuse_name`.
        """
        self.refuse_name(image)
        empty = np.zeros(segmentation.geometry.shape, bool)
        return {
            f"{image}_{i}": self.code.write(empty if label is None else segmentation.mask(label))
            for i, label in enumerate(labels[name] for name in self.classes)
        }

    def write(self, rows: Mapping[str, str], path: str | Path) -> None:
        """Write rows, in the order of their ids."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(self.columns)
        table.writerows(sorted(rows.items()))
        with whole_file(path) as part:
            part.write_text(text.getvalue(), encoding="utf-8", newline="")

    def read_rows(self, path: str | Path) -> dict[str, str]:
        """The rows of a file: id -> mask as text, which is not read here.

        Raises:
            ValueError: another file, a row that cannot be read, or two rows with one id; names the file and the line.
        """
        path = Path(path)
        try:
            lines = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text; expected a CSV.") from error
        header = lines[0].rstrip("\r")
        if header.replace('"', "") != ",".join(self.columns):
            raise ValueError(
                f"{path}: begins with {header[:60]!r}; expected {','.join(self.columns)!r}."
            )
        rows: dict[str, str] = {}
        for number, line in enumerate(lines[1:], start=2):
            if not line.rstrip("\r"):
                continue
            first, comma, mask = line.rstrip("\r").rpartition(",")  # csv refuses long fields
            try:
                (id,) = next(csv.reader([first], strict=True))
            except (csv.Error, ValueError, StopIteration) as error:
                raise ValueError(
                    f"{path}:{number}: expected an id and run lengths, not {line[:60]!r}."
                ) from error
            if not comma or id in rows:
                raise ValueError(
                    f"{path}:{number}: {f'a second row for {id[:60]!r}' if comma else 'a row of one field'}."
                )
            if not QUOTED_OR_PLAIN.fullmatch(mask):
                raise ValueError(
                    f"{path}:{number}: the run lengths have a quote that is not closed."
                )
            rows[id] = mask.strip('"')
        return rows

    def read(
        self,
        path: str | Path,
        shapes: Mapping[str, tuple[int, ...]],
        labels: LabelSet,
        given: Mapping[str, str | None] | None = None,
    ) -> dict[str, Segmentation]:
        """The masks of each image in a file.

        Args:
            path: the file.
            shapes: (rows, columns) of each image, which the file does not have, by name.
            labels: the labels of the masks.
            given: as for `labels_of`.

        Raises:
            ValueError: as `read_rows`; images that are not those of `shapes`, or masks that cannot be read, do not fit
                the shape of their image, or overlap.
        """
        of = self.labels_of(labels, given)
        rows = self.read_rows(path)
        self.check_images(path, rows, list(shapes))
        found = {}
        for image, shape in shapes.items():
            for i, name in enumerate(self.classes):
                if of[name] is None and rows[f"{image}_{i}"].strip() != self.code.empty.strip():
                    raise ValueError(
                        f"{path}: the row {image}_{i}: has pixels of {name}, which has no label."
                    )
            found[image] = self.segmentation(
                path, rows, image, Geometry.in_pixels(shape), labels, of
            )
        return found

    def check_images(
        self, path: str | Path, rows: Mapping[str, str], images: Sequence[str]
    ) -> None:
        """Refuse rows that are not those of these images.

        Raises:
            ValueError: rows are missing, or of no known image; lists them.
        """
        wanted = [f"{image}_{i}" for image in images for i in range(len(self.classes))]
        if missing := [id for id in wanted if id not in rows]:
            raise ValueError(f"{path}: {len(missing)} rows are missing: {some(missing)}.")
        if stray := sorted(rows.keys() - set(wanted)):
            shown = some(_printable(id) for id in stray)
            raise ValueError(f"{path}: {len(stray)} rows are of no known image: {shown}.")

    def segmentation(
        self,
        path: str | Path,
        rows: Mapping[str, str],
        image: str,
        geometry: Geometry,
        labels: LabelSet,
        of: Mapping[str, str | None],
    ) -> Segmentation:
        """The masks of one image.

        Args:
            path: the file, for messages.
            rows: as `read_rows`.
            image: its name.
            geometry: its grid.
            labels: the labels of the masks.
            of: class -> label; the pixels of a class without label are background.

        Raises:
            ValueError: a row cannot be read, does not fit the image, or overlaps another; or the image has other than
                two axes.
        """
        shape = geometry.shape
        if len(shape) != 2:
            raise ValueError(
                f"{path}: the image {image} has {len(shape)} axes; {self.name} is for pictures of 2 axes."
            )
        largest = max(label.value for label in labels.labels)
        classes = np.zeros(shape, np.min_scalar_type(largest))
        taken = np.zeros(shape, bool)
        for i, label in enumerate(of[name] for name in self.classes):
            try:
                mask = self.code.read(rows[f"{image}_{i}"], shape)
                if (taken & mask).any():
                    raise ValueError("overlaps the mask of another class.")
            except ValueError as error:
                raise ValueError(f"{path}: the row {image}_{i}: {error}") from error
            taken |= mask
            if label is not None:
                classes[mask] = labels[label].value
        return Segmentation(classes, labels, geometry)


def _printable(id: str) -> str:
    return id if id.isprintable() and len(id) <= 60 else repr(id[:60])


NEOPOLYP = RunLengthTable(
    name="neopolyp-csv",
    file="neopolyp.csv",
    columns=("Id", "Expected"),
    classes=("neoplastic", "non_neoplastic"),
    code=RunLengthCode(),
)
"""The submission file of BKAI-IGH NeoPolyp."""

RUN_LENGTH_TABLES = {table.name: table for table in (NEOPOLYP,)}
"""The formats of `delineate predict --to`, by name."""


def run_length_table(path: str | Path) -> RunLengthTable:
    """The format of a file, by its header.

    Raises:
        ValueError: no such file, or the header of no format.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file.")
    with open(path, "rb") as file:
        begin = file.readline(200).removeprefix(codecs.BOM_UTF8)
    header = begin.decode("utf-8", errors="replace").rstrip("\r\n")
    for table in RUN_LENGTH_TABLES.values():
        if header.replace('"', "") == ",".join(table.columns):
            return table
    known = " or ".join(f"{','.join(t.columns)!r} ({t.name})" for t in RUN_LENGTH_TABLES.values())
    raise ValueError(f"{path}: begins with {header[:60]!r}; expected {known}.")
