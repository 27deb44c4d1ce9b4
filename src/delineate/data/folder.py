"""Images and masks in a folder, paired by name or by a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal

from delineate.arguments import NonNegative, Text
from delineate.core import Case, LabelSet, Splits
from delineate.data._groups import group_names
from delineate.data._masks import read_truth
from delineate.data._paths import by_stem, find_file, find_folder, made_of
from delineate.data._splits import split_cases
from delineate.data._tables import Row, rows_by_id
from delineate.data._values import Values, mask_values
from delineate.files import read_image
from delineate.words import some

Unlabelled = Literal["refuse", "keep", "drop"]
THREE_WAYS = {"train": 0.8, "val": 0.1, "test": 0.1}


def folder(
    *,
    labels: LabelSet,
    folder: Path,
    started: Path | None = None,
    seed: int,
    trust_shape: bool = False,
    root: Text,
    images: Text | None = None,
    masks: Text | None = None,
    table: Text | None = None,
    group: Text | None = None,
    values: Values | None = None,
    tolerance: NonNegative = 0.0,
    unlabelled: Unlabelled = "refuse",
    split: dict[str, NonNegative] | Text | None = None,
    stratify: Text | None = None,
) -> Splits:
    r"""Images and masks in a folder, paired by stem or by a CSV, split by patient.

    Only names are looked at here, and headers with their samples in another file: a case reads its files when it is
    asked for them.

    Args:
        labels: the labels of the problem.
        folder: where the recipe lies. Relative paths are looked for there, then below root, then from here.
        started: the folder in which the training of a saved run was started; looked in before the present one.
        seed: decides the split.
        trust_shape: take masks to lie on their images wherever shapes agree, whatever the headers say; given where
            the audit's `misplaced` is allowed by name.
        root: the folder of the data.
        images: a glob below root, "images/*.jpg". The stem is the name without ending, or what stands at
            {stem}, "*/{stem}_flair.nii.gz". None: the column image of the table, below root.
        masks: the same for masks, "masks/*.png" or "masks/{stem}_mask.png"; endings may differ from those of
            the images. None: the column mask of the table, if it has one.
        table: a CSV of facts about the cases, by its column id or stem, or else by the stem of image. Rows
            that fit no image of `images` are passed over.
        group: the patient: "{stem}" (each its own), "column:NAME", or a regular expression with one group
            that is matched from the start of the id, "(patient\d+)_". None: the column group of the table
            if it has one, else "{stem}".
        values: what masks hold, by name of label: a number, a list, a threshold ">127", a colour "#rrggbb".
            None: the values of the labels.
        tolerance: how far a colour in a mask may lie from the nearest one in `values`, Euclidean in RGB.
        unlabelled: what becomes of images without mask.
        split: fractions {train: 0.8, val: 0.1, test: 0.1}, folds {folds: 5, fold: 0, test: 0.1},
            "column:NAME", or a CSV with the columns id and split. None: the column split of the table if it
            has one, else those fractions.
        stratify: keep the proportions of "labels" (which there are, and how large: reads every mask once) or
            of "column:NAME" in fractions and folds.

    Raises:
        ValueError: a folder, glob or table that is not there, images and masks that do not pair up, two
            files with one stem, values or a group that make no sense, or a split that cannot be made.
    """
    meaning = mask_values(labels, values, tolerance)
    here = (Path.cwd(),) if started is None else (started, Path.cwd())
    home = find_folder(root, (folder, *here))
    places = (folder, home, *here)
    rows = {} if table is None else rows_by_id(find_file(table, places, "table"))
    image_files = _image_files(home, images, rows)
    mask_files = _mask_files(home, masks, rows)
    if images is not None:
        _refuse_unpaired(image_files, {} if masks is None else mask_files, rows)
    kept = _labelled(image_files, mask_files, unlabelled)
    columns = next(iter(rows.values()), {})
    if group is None:
        group = "column:group" if "group" in columns else "{stem}"
    if split is None:
        split = "column:split" if "split" in columns else THREE_WAYS
    groups = group_names(kept, group, rows)
    cases = []
    for id in kept:
        image, mask = image_files[id], mask_files.get(id)
        cases.append(
            Case(
                id,
                groups[id],
                partial(read_image, image),
                partial(read_truth, image, mask, meaning, trust_shape) if mask else None,
                made_of(image),
                made_of(mask) if mask else (),
                _facts(rows.get(id, {})),
            )
        )
    return split_cases(cases, split, seed=seed, stratify=stratify, places=places)


def _image_files(home: Path, images: Text | None, rows: Mapping[str, Row]) -> dict[str, Path]:
    if images is not None:
        return by_stem(home, images, "images")
    if not rows:
        raise ValueError("neither images nor a table is given; write images: 'images/*.jpg'.")
    listed = _listed(home, rows, "image")
    bare = [id for id in rows if id not in listed]
    if bare:
        raise ValueError(
            f"the table has no image for {some(bare)}; fill the column image or give images."
        )
    return listed


def _mask_files(home: Path, masks: Text | None, rows: Mapping[str, Row]) -> dict[str, Path]:
    return _listed(home, rows, "mask") if masks is None else by_stem(home, masks, "masks")


def _listed(home: Path, rows: Mapping[str, Row], column: str) -> dict[str, Path]:
    """The files in a column of the table; empty fields have none."""
    files = {id: home / row[column] for id, row in rows.items() if row.get(column)}
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise ValueError(
            f"the table names {len(missing)} of {len(files)} files that are not there: {some(missing)}."
        )
    return files


def _refuse_unpaired(
    images: Mapping[str, Path], masks: Mapping[str, Path], rows: Mapping[str, Row]
) -> None:
    without_image = [path for id, path in masks.items() if id not in images]
    if without_image:
        raise ValueError(
            f"{len(without_image)} of {len(masks)} masks have no image: {some(without_image)}. "
            "Add the images, or narrow the pattern of masks."
        )
    without_row = [id for id in images if id not in rows]
    if rows and without_row:
        raise ValueError(
            f"{len(without_row)} of {len(images)} images are not in the table: {some(without_row)}."
        )


def _labelled(
    images: Mapping[str, Path], masks: Mapping[str, Path], unlabelled: Unlabelled
) -> list[str]:
    """The ids of the cases to keep."""
    bare = [path for id, path in images.items() if id not in masks]
    if bare and unlabelled == "refuse":
        raise ValueError(
            f"{len(bare)} of {len(images)} images have no mask: {some(bare)}. "
            "Add the masks, or write unlabelled: drop (or keep, for cases without truth)."
        )
    kept = [id for id in images if id in masks or unlabelled == "keep"]
    if not kept:
        raise ValueError(f"none of {len(images)} images has a mask, and unlabelled is drop.")
    return sorted(kept)


def _facts(row: Row) -> Row:
    """What a row says beyond which case it is about."""
    return {k: v for k, v in row.items() if k not in ("id", "stem", "image", "mask")}
