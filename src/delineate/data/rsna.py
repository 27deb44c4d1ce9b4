"""Load abdominal CT of the RSNA 2023 trauma challenge: DICOM series with segmentations, or PNG slices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from delineate.arguments import NonNegative, Text
from delineate.core import Case, LabelSet, Splits
from delineate.data._groups import group_names
from delineate.data._masks import read_truth
from delineate.data._paths import find_folder, is_readable, split_ending
from delineate.data._splits import THREE_WAYS, split_cases
from delineate.data._tables import read_table
from delineate.data._values import BACKGROUND, RawValue, Values, mask_values
from delineate.files import read_image
from delineate.resolve import nearest
from delineate.words import some

Form = Literal["dicom", "png"]
FOLDERS: dict[Form, tuple[str, str]] = {
    "dicom": ("train_images", "segmentations"),
    "png": ("images", "masks"),
}
ORGANS = {"liver": 1, "spleen": 2, "left_kidney": 3, "right_kidney": 4, "bowel": 5}
"""The values of the challenge's segmentations. Left is the patient's left."""
META = "train_series_meta.csv"
SEVERAL = re.compile(r"\d+([_-]\d+)+")
"""Numbers that may be those of a patient and a series."""


def rsna(
    *,
    labels: LabelSet,
    folder: Path,
    started: Path | None = None,
    seed: int,
    trust_shape: bool = False,
    root: Text,
    form: Form | None = None,
    group: Text | None = None,
    values: Values | None = None,
    split: dict[str, NonNegative] | Text = THREE_WAYS,
    stratify: Text | None = None,
) -> Splits:
    r"""Abdominal CT of the RSNA 2023 trauma challenge, as DICOM series or as PNG slices, split by patient.

    - dicom: the challenge as it comes. train_images/PATIENT/SERIES/*.dcm is an image, and segmentations/SERIES.nii its
      truth; series without a segmentation are left out. If train_series_meta.csv is there, its patients must be those
      of the folders, and its other columns become columns of the cases. A segmentation has other directions of axes
      than its series: axes are permuted and reversed as its header says, nothing is resampled, and shape, spacing and
      all corners must then coincide. Else reading the case is refused.
    - png: slices images/*.png with masks/*.png of the same names, PATIENT_SERIES_SLICE.png or PATIENT_SLICE.png, or in
      folders, images/PATIENT/SERIES/SLICE.png. The patient is the first folder, else the name up to its first "_".
      Several numbers in it, as in PATIENT_SERIES/SLICE.png, need `group`.

    Args:
        labels: any of liver, spleen, left_kidney, right_kidney and bowel, with any values. Organs that are not
            named are background.
        folder: the folder of the recipe. Relative paths are searched there, then in the current folder.
        started: the folder in which the training of a saved run was started; searched before the current folder.
        seed: the seed of the split.
        trust_shape: accept a mask of the same shape as its image even if their headers disagree; true if the recipe
            allows the audit's finding `misplaced`.
        root: the folder of the data.
        form: dicom or png. None: the one whose two folders are there.
        group: for png, another regular expression for the patient, with one capturing group that is matched from the
            start of the path below images, without its ending: "(patient\d+)_". Names such as
            PATIENT_SERIES/SLICE.png and PATIENT-SERIES_SLICE.png need it.
        values: the values of each label in the masks, for labels of other names: {kidneys: [3, 4]}.
        split: fractions {train: 0.8, val: 0.1, test: 0.1}, folds {folds: 5, fold: 0, test: 0.1}, "column:NAME",
            or a CSV with the columns id and split. An id is PATIENT_SERIES, or for png the path below images without
            its ending.
        stratify: keep the proportions of "labels" (reads every mask once) or of "column:NAME" in fractions and folds.

    Raises:
        ValueError: no such folders, an unknown label, an image or a mask without its partner, a series of two patients,
            or a split that cannot be made.
    """
    current = (Path.cwd(),) if started is None else (started, Path.cwd())
    home = find_folder(root, (folder, *current))
    known_values = mask_values(labels, _organs(labels) if values is None else values)
    form = _form(home) if form is None else form
    if form == "dicom" and group is not None:
        raise ValueError("group is for form: png only; in train_images a folder is a patient.")
    if group == "{stem}":
        raise ValueError(
            "group is '{stem}', which would put slices of one patient into several splits. Write an expression for the "
            "patient, '(patient\\d+)_'."
        )
    found = _series(home) if form == "dicom" else _slices(home, group)
    cases = [
        Case(
            id,
            patient,
            partial(read_image, image),
            partial(read_truth, image, mask, known_values, trust_shape),
            _files(image),
            (mask,),
            columns,
            image_path=image,
        )
        for id, (patient, image, mask, columns) in found.items()
    ]
    places = (folder, home, *current)
    return split_cases(cases, split, seed=seed, stratify=stratify, places=places)


Found = Mapping[str, tuple[str, Path, Path, Mapping[str, str]]]
"""Patient, image, mask and columns of each case, by its id."""


def _organs(labels: LabelSet) -> Values:
    """The values of the recipe's labels in the masks, by their names; the other organs are background."""
    plain = {name: name.casefold().replace(" ", "_").replace("-", "_") for name in labels.names}
    for name, organ in plain.items():
        if organ not in ORGANS:
            raise ValueError(
                f"label {name!r} is none of this data's labels: {', '.join(ORGANS)}{nearest(organ, ORGANS)} For a "
                f"label of several of them write values: {{{name}: [3, 4]}}."
            )
    others: list[RawValue] = [v for organ, v in ORGANS.items() if organ not in plain.values()]
    return {BACKGROUND: [0, *others]} | {name: ORGANS[organ] for name, organ in plain.items()}


def _form(home: Path) -> Form:
    there = [form for form, names in FOLDERS.items() if all((home / n).is_dir() for n in names)]
    if len(there) == 1:
        return there[0]
    if there:
        raise ValueError(f"{home} has DICOM series and slices; write form: dicom or form: png.")
    known = sorted(path.name for path in home.iterdir() if path.is_dir())
    raise ValueError(
        f"{home}: expected the folders train_images and segmentations (DICOM), or images and masks (PNG slices); there "
        f"are: {some(known) or 'none'}."
    )


def _series(home: Path) -> Found:
    """The series of the challenge that have a segmentation."""
    images, masks = (_folder(home, name) for name in FOLDERS["dicom"])
    series: dict[str, Path] = {}
    for path in sorted(p for p in images.glob("*/*") if p.is_dir() and not _hidden(p, images)):
        if series.setdefault(path.name, path) is not path:
            raise ValueError(
                f"{series[path.name]} and {path} have the same series number; the segmentation of {path.name} can be "
                "that of one patient only."
            )
    truths: dict[str, Path] = {}
    for file in _masks(masks):
        stem = split_ending(file.name)[0]
        if truths.setdefault(stem, file) is not file:
            raise ValueError(
                f"{truths[stem]} and {file} are segmentations of one series. Remove one."
            )
    if missing := sorted(truths.keys() - series.keys()):
        raise ValueError(
            f"{len(missing)} of {len(truths)} segmentations have no series in {images}: {some(missing)}. Copy the "
            "series, or remove these segmentations."
        )
    rows = _meta(home / META)
    found = {}
    for name, mask in truths.items():
        path = series[name]
        patient = path.parent.name
        row = rows.get(name)
        if rows and row is None:
            raise ValueError(f"{home / META}: has no row for the series {name} of {path}.")
        if row and row.get("patient_id") != patient:
            raise ValueError(
                f"{home / META}: the series {name} is of patient {row.get('patient_id')}, but it is in {path}."
            )
        columns = {k: v for k, v in (row or {}).items() if k not in ("patient_id", "series_id")}
        found[f"{patient}_{name}"] = patient, path, mask, columns
    return found


def _masks(folder: Path) -> list[Path]:
    masks = [
        file
        for file in sorted(folder.glob("*.nii*"))
        if is_readable(file) and file.is_file() and not _hidden(file, folder)
    ]
    if not masks:
        raise ValueError(f"{folder}: no .nii or .nii.gz in it.")
    return masks


def _meta(path: Path) -> Mapping[str, Mapping[str, str]]:
    """The rows of the table by series; empty without a table."""
    if not path.is_file():
        return {}
    rows = read_table(path)
    if missing := {"patient_id", "series_id"} - rows[0].keys():
        raise ValueError(
            f"{path}: has the columns {some(rows[0], 12)}; expected {' and '.join(sorted(missing))} too."
        )
    return {row["series_id"]: row for row in rows}


def _slices(home: Path, group: str | None) -> Found:
    """Slices and their masks, by their paths without endings."""
    images, masks = (_pictures(_folder(home, name)) for name in FOLDERS["png"])
    bare, alone = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    if bare or alone:
        what, names, every = (
            ("slices have no mask", bare, images) if bare else ("masks have no slice", alone, masks)
        )
        raise ValueError(f"{home}: {len(names)} of {len(every)} {what}: {some(names)}.")
    patients = (
        group_names(list(images), group, {}) if group else {id: _patient(id) for id in images}
    )
    return {id: (patients[id], image, masks[id], {}) for id, image in images.items()}


def _patient(id: str) -> str:
    first, *below = PurePosixPath(id).parts
    patient, *further = (first,) if below else first.split("_")
    if SEVERAL.fullmatch(patient):
        whole, number = "([^/]+)/" if below else "([^_]+)_", re.split("[_-]", patient)[0]
        raise ValueError(
            f"the name of the slice {id!r} begins with {patient!r}, which may be a patient and a series. Slices of "
            f"one patient must be in one split: write group: '(\\d+)[_-]' if the patient is {number}, or "
            f"group: '{whole}' if it is {patient}."
        )
    if below:
        return patient
    if not further or not patient:
        raise ValueError(
            f"the name of the slice {id!r} has no patient; expected PATIENT_SERIES_SLICE.png or PATIENT_SLICE.png. "
            "Slices of one patient must be in one split: give the patient with group: '(regular expression)'."
        )
    return patient


def _pictures(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        if _hidden(file, folder) or not is_readable(file) or not file.is_file():
            continue
        id = split_ending(file.relative_to(folder).as_posix())[0]
        if found.setdefault(id, file) is not file:
            raise ValueError(f"{found[id]} and {file} have the same name. Remove one.")
    if not found:
        raise ValueError(f"{folder}: no image in it.")
    return found


def _files(image: Path) -> tuple[Path, ...]:
    """The files of an image, by name; no header is read."""
    if not image.is_dir():
        return (image,)
    return tuple(sorted(p for p in image.iterdir() if p.is_file() and p.name[0] != "."))


def _folder(home: Path, name: str) -> Path:
    if not (home / name).is_dir():
        raise ValueError(f"{home / name}: no such folder.")
    return home / name


def _hidden(path: Path, below: Path) -> bool:
    parts: Sequence[str] = path.relative_to(below).parts
    return any(part.startswith(".") for part in parts)
