"""Load images and masks from a folder, paired by name or by a table, with optional image-level labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Len

from delineate.arguments import NonNegative, Text
from delineate.core import Case, LabelSet, Segmentation, Splits
from delineate.data._channels import read_channels
from delineate.data._groups import group_names
from delineate.data._masks import image_level_truth, read_truth
from delineate.data._paths import by_stem, find_file, find_folder, made_of
from delineate.data._splits import THREE_WAYS, split_cases
from delineate.data._tables import Row, rows_by_id
from delineate.data._values import Tolerance, Values, mask_values
from delineate.files import is_image_folder, read_image
from delineate.resolve import nearest
from delineate.words import some

Channels = Annotated[dict[Text, Text], Len(1)] | Annotated[list[Text], Len(1)]
Unlabelled = Literal["refuse", "keep", "drop"]
YES_OR_NO = {
    "1": True,
    "true": True,
    "yes": True,
    "0": False,
    "false": False,
    "no": False,
    "": None,
}
"""Allowed values in a column of image-level labels, in lower case."""


def folder(
    *,
    labels: LabelSet,
    folder: Path,
    started: Path | None = None,
    seed: int,
    trust_shape: bool = False,
    root: Text,
    images: Text | Channels | None = None,
    masks: Text | None = None,
    table: Text | None = None,
    group: Text | None = None,
    values: Values | None = None,
    tolerance: Tolerance = 0.0,
    present: dict[str, Text] | None = None,
    unlabelled: Unlabelled = "refuse",
    split: dict[str, NonNegative] | Text | None = None,
    stratify: Text | None = None,
) -> Splits:
    r"""Images and masks in a folder, paired by stem or by a CSV, split by patient.

    Pixels are not read here: a case reads its files at each access. Only file names are read, and headers of formats
    with separate data files.

    Args:
        labels: the labels of the recipe.
        folder: the folder of the recipe. Relative paths are searched there, then below root, then in the current
            folder.
        started: the folder in which the training of a saved run was started; searched before the current folder.
        seed: the seed of the split.
        trust_shape: accept a mask of the same shape as its image even if their headers disagree; true if the recipe
            allows the audit's finding `misplaced`.
        root: the folder of the data.
        images: a glob below root, "images/*.jpg". The stem is the name without ending, or the part at {stem},
            "*/{stem}_flair.nii.gz". A folder with a DICOM series is one image, "{stem}/ct". None: the paths in the
            column image of the table, below root; there folder/SeriesInstanceUID names one of several series. Several
            globs, {flair: "{stem}/flair.nii.gz", t1c: "{stem}/t1c.nii.gz"} or a list of globs: the channels of the
            image, in this order, each with one file per case; all files of a case must be on one grid.
        masks: the same for masks, "masks/*.png" or "masks/{stem}_mask.png"; endings may differ from those of
            the images. None: the paths in the column mask of the table, if it has one.
        table: a CSV with one row per case, identified by the column id or stem, or else by the stem of image. Rows
            without an image in `images` are ignored.
        group: the patient: "{stem}" (each case its own), "column:NAME", text with a column, as "south-{column:NAME}",
            or a regular expression with one capturing group that is matched from the start of the id,
            "(patient\d+)_". None: the column group of the table if it has one, else "{stem}".
        values: the values of each label in masks: a number, a list, a threshold ">127", a colour "#rrggbb".
            None: the values of the labels.
        tolerance: maximum distance of a colour in a mask from the nearest one in `values`, Euclidean in RGB; or jpeg
            for masks stored as JPEG: the nearest colour, without the noise at edges, regions of less than 25 pixels
            and seams between colours that touch.
        present: image-level labels: for each label the column of the table that tells whether the image shows it:
            1, true or yes; 0, false or no; empty if unknown. Masks are then optional, and a label that masks
            contain needs no column. If the field is empty, the mask decides, if masks contain the label.
        unlabelled: refuse, keep or drop images that have neither a mask nor a known image-level label.
        split: fractions {train: 0.8, val: 0.1, test: 0.1}, folds {folds: 5, fold: 0, test: 0.1},
            "column:NAME", a CSV with the columns id and split, or "splits_final.json:2", fold 2 of the folds of
            nnU-Net (without a number, fold 0). None: the column split of the table if it has one, else those
            fractions.
        stratify: keep the proportions of "labels" (which labels, and their area; reads every mask once) or
            of "column:NAME" in fractions and folds.

    Raises:
        ValueError: a missing folder, file or table, images and masks that do not pair up, two files with one
            stem, invalid values or an invalid group, or a split that cannot be made.
    """
    known_values = mask_values(labels, values, tolerance)
    current = (Path.cwd(),) if started is None else (started, Path.cwd())
    data_folder = find_folder(root, (folder, *current))
    places = (folder, data_folder, *current)
    table_file = None if table is None else find_file(table, places, "table")
    rows = {} if table_file is None else rows_by_id(table_file)
    channels = _channels(images)
    image_files = _image_files(data_folder, images, channels, rows)
    mask_files = _mask_files(data_folder, masks, rows)
    if images is not None:
        _refuse_unpaired(image_files, {} if masks is None else mask_files, rows)
    shown = {id: _shown(table_file, rows, id, present or {}, labels) for id in image_files}
    kept = _labelled(image_files, mask_files, shown, unlabelled)
    columns = next(iter(rows.values()), Row())
    if group is None:
        group = "column:group" if "group" in columns else "{stem}"
    if split is None:
        split = "column:split" if "split" in columns else THREE_WAYS
    groups = group_names(kept, group, rows)
    cases = []
    for id in kept:
        files, mask = image_files[id], mask_files.get(id)
        known = shown[id]
        load_truth: Callable[[], Segmentation] | None = None
        if mask:
            load_truth = partial(read_truth, files[0], mask, known_values, trust_shape)
            known = {n: s for n, s in known.items() if s is not None or not known_values.holds(n)}
            if known:
                load_truth = partial(load_truth, present=known)
        elif any(s is not None for s in known.values()):
            load_truth = partial(image_level_truth, files[0], labels, present=known)
        cases.append(
            Case(
                id,
                groups[id],
                partial(read_channels, files, channels)
                if channels
                else partial(read_image, files[0]),
                load_truth,
                tuple(made for file in files for made in made_of(file)),
                made_of(mask) if mask else (),
                _facts(rows.get(id, {})),
                files[0],
                mask,
                channels,
            )
        )
    return split_cases(cases, split, seed=seed, stratify=stratify, places=places)


def _channels(images: Text | Channels | None) -> tuple[str, ...]:
    """The names of the channels; numbers for a list of globs, and empty for a single glob."""
    if images is None or isinstance(images, str):
        return ()
    return tuple(images) if isinstance(images, dict) else tuple(str(n) for n in range(len(images)))


def _image_files(
    home: Path,
    images: Text | Channels | None,
    channels: tuple[str, ...],
    rows: Mapping[str, Row],
) -> dict[str, tuple[Path, ...]]:
    """The files of each image, by id: one for each channel."""
    if isinstance(images, str):
        return {id: (file,) for id, file in by_stem(home, images, "images").items()}
    if images is not None:
        globs = images.values() if isinstance(images, dict) else images
        parts = {
            name: by_stem(home, pattern, f"images, channel {name}")
            for name, pattern in zip(channels, globs, strict=True)
        }
        _refuse_missing_channels(parts)
        return {id: tuple(part[id] for part in parts.values()) for id in parts[channels[0]]}
    if not rows:
        raise ValueError("neither images nor a table is given; write images: 'images/*.jpg'.")
    listed = _listed(home, rows, "image")
    bare = [id for id in rows if id not in listed]
    if bare:
        raise ValueError(
            f"the table has no image for {some(bare)}; fill the column image or give images."
        )
    return {id: (file,) for id, file in listed.items()}


def _refuse_missing_channels(parts: Mapping[str, Mapping[str, Path]]) -> None:
    """Refuse images without a file for one of their channels, and a file that is given as two channels."""
    every = set().union(*parts.values())
    for name, files in parts.items():
        if missing := sorted(every - files.keys()):
            raise ValueError(
                f"images: the channel {name} has no file for {len(missing)} of {len(every)} cases: {some(missing)}. "
                "The files of a case are those of one stem; write {stem} in each glob where the case is named."
            )
    for id in sorted(every):
        files_of = [part[id] for part in parts.values()]
        twice = [file for file in files_of if files_of.count(file) > 1]
        if twice:
            names = [name for name, part in parts.items() if part[id] == twice[0]]
            raise ValueError(
                f"images: the channels {' and '.join(names)} are the same file, {twice[0]}."
            )


def _mask_files(home: Path, masks: Text | None, rows: Mapping[str, Row]) -> dict[str, Path]:
    return _listed(home, rows, "mask") if masks is None else by_stem(home, masks, "masks")


def _listed(home: Path, rows: Mapping[str, Row], column: str) -> dict[str, Path]:
    """The files named in a column of the table; rows with an empty field are left out."""
    files = {id: home / row[column] for id, row in rows.items() if row.get(column)}
    missing = [p for p in files.values() if not p.is_file() and not is_image_folder(p)]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(files)} files in the table do not exist: {some(missing)}. "
            "A folder must hold the files of a DICOM series."
        )
    return files


def _shown(
    table: Path | None,
    rows: Mapping[str, Row],
    id: str,
    present: Mapping[str, str],
    labels: LabelSet,
) -> dict[str, bool | None]:
    """The image-level labels of an image in the table; None where unknown."""
    if present and table is None:
        raise ValueError(
            "present names columns of a table, but no table is given; write table: cases.csv."
        )
    image_labels = {}
    for name, column in present.items():
        if name not in labels.names:
            raise ValueError(
                f"present names {name!r}, which is not a label to segment. "
                f"There are: {', '.join(labels.names)}{nearest(name, labels.names)}"
            )
        row = rows.get(id, Row())
        if row and column not in row:
            raise ValueError(
                f"present names the column {column!r} for {name}, but {table} has no such column. "
                f"There are: {some(row, 12)}{nearest(column, row)}"
            )
        word = row.get(column, "")
        if word.lower() not in YES_OR_NO:
            raise ValueError(
                f"{table}:{row.line}: the column {column!r}, which tells whether the image shows {name}, has the value "
                f"{word!r}; expected 1, true or yes; 0, false or no; or an empty field if unknown."
            )
        image_labels[name] = YES_OR_NO[word.lower()]
    return image_labels


def _refuse_unpaired(
    images: Mapping[str, tuple[Path, ...]], masks: Mapping[str, Path], rows: Mapping[str, Row]
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
    images: Mapping[str, tuple[Path, ...]],
    masks: Mapping[str, Path],
    shown: Mapping[str, Mapping[str, bool | None]],
    unlabelled: Unlabelled,
) -> list[str]:
    """The ids of the cases to keep."""
    known = {id for id, labels in shown.items() if any(s is not None for s in labels.values())}
    wanted = "mask or known image-level label" if any(shown.values()) else "mask"
    bare = [files[0] for id, files in images.items() if id not in masks and id not in known]
    if bare and unlabelled == "refuse":
        raise ValueError(
            f"{len(bare)} of {len(images)} images have no {wanted}: {some(bare)}. "
            f"Add {'the masks' if wanted == 'mask' else 'one'}, or write unlabelled: drop (or keep, for cases "
            "without truth)."
        )
    kept = [id for id in images if id in masks or id in known or unlabelled == "keep"]
    if not kept:
        raise ValueError(f"none of {len(images)} images has a {wanted}, and unlabelled is drop.")
    return sorted(kept)


def _facts(row: Mapping[str, str]) -> dict[str, str]:
    """The columns of a row, without those that identify the case."""
    return {k: v for k, v in row.items() if k not in ("id", "stem", "image", "mask")}
