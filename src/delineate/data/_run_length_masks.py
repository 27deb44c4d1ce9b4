"""Predicted masks from a CSV of run lengths, such as a challenge's submission file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.core import Case, LabelSet, Segmentation
from delineate.data._values import BACKGROUND, Values
from delineate.files import RunLengthTable, read_geometry, run_length_table
from delineate.words import some


@dataclass(frozen=True)
class RunLengthMasks:
    """A predictor that reads the rows of a file; a case is the image whose name is its id.

    rows: id of a row -> its run lengths, of which only those of the case are decoded at a time.
    classes: class of the format -> label; None for one that is read as background.
    """

    path: Path
    table: RunLengthTable
    rows: Mapping[str, str]
    labels: LabelSet
    classes: Mapping[str, str | None]

    def __call__(self, case: Case) -> Segmentation:
        """The prediction for a case, on the grid of its image.

        Raises:
            ValueError: a row cannot be read, does not fit the image, or overlaps that of another class; names the row.
        """
        if case.image_path is None:
            raise ValueError(f"{case.id}: run lengths need the image file whose size they have.")
        return self.table.segmentation(
            self.path, self.rows, case.id, read_geometry(case.image_path), self.labels, self.classes
        )


def run_length_masks(
    path: Path, cases: Sequence[Case], labels: LabelSet, values: Values | None = None
) -> RunLengthMasks:
    """Pair the rows of a file with cases, by name.

    Args:
        path: the file; its header says which format it has.
        cases: the cases that were predicted.
        labels: the labels of the cases.
        values: as `class_labels`.

    Raises:
        ValueError: a file of another kind, rows that are missing or of no case, or as `class_labels`.
    """
    table = run_length_table(path)
    classes = class_labels(table, labels, values)
    rows = table.read_rows(path)
    table.check_images(path, rows, [case.id for case in cases])
    return RunLengthMasks(path, table, rows, labels, classes)


def class_labels(
    table: RunLengthTable, labels: LabelSet, values: Values | None = None
) -> dict[str, str | None]:
    """The label of each class of a format; None for a class that is read as background.

    Args:
        table: the format.
        labels: the labels of the masks.
        values: name of a label, or "background" -> one or more classes, [] for a label without class. None: classes and
            labels of one name belong together.

    Raises:
        ValueError: an unknown label or class, a class or label that is not named, or one class for two labels.
    """
    shown = [": ".join(pair) for pair in zip(labels.names, table.classes, strict=False)]
    if spare := table.classes[len(labels) :]:
        shown.append(f"{BACKGROUND}: [{', '.join(spare)}]")
    advice = (
        "Give labels as a YAML file with labels and predictions, which names every class, for instance "
        f"predictions: {{{', '.join(shown)}}}."
    )
    named = {name: [name] for name in labels.names} if values is None else values
    of: dict[str, str | None] = {}
    for label, written in named.items():
        if label not in (*labels.names, BACKGROUND):
            raise ValueError(
                f"predictions names {label!r}, which is not a label. There are: {', '.join(labels.names)}."
            )
        for name in [written] if isinstance(written, int | str) else written:
            if name not in table.classes:
                raise ValueError(
                    f"{label} has no class {name!r} in {table.name}, whose classes are {', '.join(table.classes)}. "
                    + advice
                )
            if name in of:
                raise ValueError(f"predictions gives the class {name} twice. {advice}")
            of[str(name)] = None if label == BACKGROUND else label
    missing = [name for name in labels.names if name not in named]
    if missing:
        raise ValueError(
            f"predictions does not name {some(missing)}. Write [] for a label without class in {table.name}."
        )
    if left := [name for name in table.classes if name not in of]:
        raise ValueError(
            f"no label was given for {some(left)} of {table.name}. {advice} Name a class under {BACKGROUND} to leave "
            "it out."
        )
    return of
