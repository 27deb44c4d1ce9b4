"""Load the cases of a dataset.json, as the Medical Segmentation Decathlon and nnU-Net write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from delineate.arguments import NonNegative, Text
from delineate.core import Case, LabelSet, Splits
from delineate.data._channels import numbered, read_channels
from delineate.data._groups import group_names
from delineate.data._masks import read_truth
from delineate.data._paths import find_file, find_folder, made_of, split_ending
from delineate.data._splits import THREE_WAYS, split_cases
from delineate.data._tables import Row, read_json, rows_by_id
from delineate.data._values import MaskValues, Values, mask_values
from delineate.recipe import dataset_labels
from delineate.resolve import shown
from delineate.words import some

NAME = "dataset.json"
TWO_WAYS = {"train": 0.8, "val": 0.2}

Files = tuple[tuple[Path, ...], Path]
"""The files of an image, one for all channels or one for each, and the file of its labels."""


def decathlon(
    *,
    labels: LabelSet,
    folder: Path,
    started: Path | None = None,
    seed: int,
    trust_shape: bool = False,
    root: Text,
    test_set: bool = False,
    table: Text | None = None,
    group: Text | None = None,
    values: Values | None = None,
    split: dict[str, NonNegative] | Text | None = None,
    stratify: Text | None = None,
) -> Splits:
    r"""The cases of a dataset.json of the Medical Segmentation Decathlon or of nnU-Net (versions 1 and 2).

    The cases are those listed under training, or under dataset; else all of imagesTr. An image is one file, as
    imagesTr/CASE.nii.gz, or one for each channel, as imagesTr/CASE_0000.nii.gz and imagesTr/CASE_0001.nii.gz. Hidden
    files are left out. Pixels are not read here: a case reads its files at each access.

    Args:
        labels: the labels of the recipe. Without `values`, their names, values and parts must be those of dataset.json;
            upper case, spaces and hyphens in names do not matter.
        folder: the folder of the recipe. Relative paths are searched there, then below root, then in the current
            folder.
        started: the folder in which the training of a saved run was started; searched before the current folder.
        seed: the seed of the split.
        trust_shape: accept a mask of the same shape as its image even if their headers disagree; true if the recipe
            allows the audit's finding `misplaced`.
        root: the folder with dataset.json.
        test_set: add the images of imagesTs, with the labels in labelsTs, as the split "test". `split` then divides
            imagesTr alone.
        table: a CSV with one row per case, identified by the column id or stem, with columns such as the patient.
        group: the patient: "{stem}" (each case its own), "column:NAME", or a regular expression with one capturing
            group that is matched from the start of the case, "(patient\d+)_". None: the column group of the table if
            it has one, else "{stem}".
        values: the values of each label in the label files, to merge or leave out labels of dataset.json.
            None: the values of the labels.
        split: fractions {train: 0.8, val: 0.1, test: 0.1}, folds {folds: 5, fold: 0, test: 0.1},
            "column:NAME", a CSV with the columns id and split, or "splits_final.json:2", fold 2 of the folds of
            nnU-Net (without a number, fold 0). None: those fractions, or {train: 0.8, val: 0.2} with `test_set`.
        stratify: keep the proportions of "labels" (reads every label file once) or of "column:NAME" in fractions and
            folds.

    Raises:
        ValueError: no folder or dataset.json, labels that differ from it, a missing file, another number of cases than
            it states, an image or a label file without its partner, or a split that cannot be made.
    """
    current = (Path.cwd(),) if started is None else (started, Path.cwd())
    home = find_folder(root, (folder, *current))
    places = (folder, home, *current)
    path = home / NAME
    dataset = _read(path)
    _check_labels(labels, dataset, path, values)
    known_values = mask_values(labels, values)
    names = _channels(dataset, path)
    rows = {} if table is None else rows_by_id(find_file(table, places, "table"))
    columns = next(iter(rows.values()), Row())
    if group is None:
        group = "column:group" if "group" in columns else "{stem}"
    if split is None:
        split = "column:split" if "split" in columns else TWO_WAYS if test_set else THREE_WAYS
    training = _training(home, dataset, names, path)
    testing: dict[str, Files] = {}
    if test_set:
        testing = _of_folders(home, "imagesTs", "labelsTs", dataset, names, path)
        _check_count(dataset, "numTest", len(testing), path)
    if both := sorted(training.keys() & testing.keys()):
        raise ValueError(
            f"{home}: {some(both)} is in imagesTr and in imagesTs; expected each case once."
        )
    if rows and (unlisted := sorted((training.keys() | testing.keys()) - rows.keys())):
        raise ValueError(f"{len(unlisted)} cases are not in the table: {some(unlisted)}.")
    groups = group_names([*training, *testing], group, rows)

    def cases(found: Mapping[str, Files]) -> list[Case]:
        return [
            _case(id, groups[id], *files, known_values, names, trust_shape, rows.get(id, {}))
            for id, files in found.items()
        ]

    splits = split_cases(cases(training), split, seed=seed, stratify=stratify, places=places)
    return _with_test(splits, cases(testing)) if test_set else splits


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ValueError(
            f"{path}: no such file. root must be the folder with {NAME}, imagesTr and labelsTr, such as "
            "Task04_Hippocampus or Dataset004_Hippocampus."
        )
    dataset = read_json(path)
    if not isinstance(dataset, dict):
        raise ValueError(f"{path}: expected sections like 'labels', found {shown(dataset)}.")
    return dataset


def _check_labels(
    labels: LabelSet, dataset: Mapping[str, Any], path: Path, values: Values | None
) -> None:
    """Refuse labels of a recipe that are not those of dataset.json, unless `values` maps them."""
    theirs = dataset_labels(dataset, str(path))
    if values is None and _facts(labels) != _facts(theirs):
        raise ValueError(
            f"the labels of the recipe are {_written(labels)}; those of {path} are {_written(theirs)}. Write the "
            "labels as there, or give values: {name: [value, ...]} to merge or leave out some."
        )


def _facts(labels: LabelSet) -> dict[str, tuple[int, bool, frozenset[int]]]:
    """Value, whether it is ignored, and all values of each label, by its name in plain writing."""
    return {
        _plain(label.name): (
            label.value,
            label.kind == "ignore",
            frozenset(labels.values_of(label.name)) if label.kind != "ignore" else frozenset(),
        )
        for label in labels.labels
    }


def _plain(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")


def _written(labels: LabelSet) -> str:
    return ", ".join(
        f"{label.name} {label.value}"
        + (f" (with {', '.join(label.includes)})" if label.includes else "")
        + (" (ignore)" if label.kind == "ignore" else "")
        for label in labels.labels
    )


def _channels(dataset: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The names of the channels: channel_names of nnU-Net 2, modality before."""
    key = "channel_names" if "channel_names" in dataset else "modality"
    written = dataset.get(key)
    if (
        not isinstance(written, dict)
        or set(written) != {str(n) for n in range(len(written))}
        or not written
    ):
        raise ValueError(
            f"{path}: {key} is {shown(written)}; expected the name of each channel by its number: "
            "{'0': 'FLAIR', '1': 'T1c'}."
        )
    return tuple(str(written[str(n)]) for n in range(len(written)))


def _training(
    home: Path, dataset: Mapping[str, Any], names: Sequence[str], path: Path
) -> dict[str, Files]:
    """The files of each training case; refuses another number of cases than dataset.json states."""
    listed = _listed(dataset, path)
    if listed is None:
        found = _of_folders(home, "imagesTr", "labelsTr", dataset, names, path)
    else:
        found = {}
        for images, label in listed:
            files = _image_files(home, images, names, path)
            id = split_ending(PurePosixPath(label).name)[0]  # that of an image may end in _0000
            if id in found:
                raise ValueError(f"{path}: two cases are named {id!r}; expected each once.")
            found[id] = files, _inside(home, label, path)
        _refuse_missing([file for files, label in found.values() for file in (*files, label)], path)
    _check_count(dataset, "numTraining", len(found), path)
    return found


def _check_count(dataset: Mapping[str, Any], key: str, found: int, path: Path) -> None:
    stated = dataset.get(key)
    if stated is not None and stated != found:
        raise ValueError(
            f"{path}: {key} is {shown(stated)}, but there are {found} cases. Was a part of the data lost in copying? "
            f"If not, correct {key}."
        )


def _listed(dataset: Mapping[str, Any], path: Path) -> list[tuple[list[str], str]] | None:
    """The images and label of each case that dataset.json lists; None if it lists none."""
    if dataset.get("dataset") is not None:  # nnU-Net 2: {case: {images: [...], label: ...}}
        written = dataset["dataset"]
        entries = list(written.values()) if isinstance(written, dict) else written
    elif dataset.get("training") is not None:
        entries = dataset["training"]
    else:
        return None
    listed = []
    for entry in entries if isinstance(entries, list) else [entries]:
        case = entry if isinstance(entry, dict) else {}
        images, label = case.get("images", case.get("image")), case.get("label")
        images = images if isinstance(images, list) else [images]
        if not images or not all(isinstance(name, str) for name in (*images, label)):
            raise ValueError(
                f"{path}: a training case is {shown(entry)}; expected "
                "{'image': './imagesTr/CASE.nii.gz', 'label': './labelsTr/CASE.nii.gz'}."
            )
        listed.append((images, str(label)))
    return listed


def _image_files(
    home: Path, images: Sequence[str], names: Sequence[str], path: Path
) -> tuple[Path, ...]:
    """The files of a listed image; nnU-Net 1 lists CASE.nii.gz for the files CASE_0000.nii.gz, CASE_0001.nii.gz."""
    files = tuple(_inside(home, image, path) for image in images)
    if len(files) > 1 or files[0].is_file():
        return files
    stem, ending = split_ending(files[0].name)
    parts = tuple(files[0].with_name(f"{stem}_{n:04d}{ending}") for n in range(len(names)))
    return parts if any(part.is_file() for part in parts) else files


def _inside(home: Path, name: str, path: Path) -> Path:
    """The path of a file that dataset.json names; refuses one outside its folder."""
    inner = PurePosixPath(name.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts:
        raise ValueError(
            f"{path}: {shown(name)} is outside the folder of {NAME}; expected './imagesTr/...'."
        )
    return home / inner


def _refuse_missing(files: Sequence[Path], path: Path) -> None:
    if missing := [file for file in files if not file.is_file()]:
        raise ValueError(
            f"{path}: {len(missing)} of {len(files)} files do not exist: {some(missing)}. Copy or download the data "
            "again."
        )


def _of_folders(
    home: Path,
    images: str,
    masks: str,
    dataset: Mapping[str, Any],
    names: Sequence[str],
    path: Path,
) -> dict[str, Files]:
    """The files of each case in two folders, by the names of nnU-Net: CASE_0000.nii.gz and CASE.nii.gz."""
    ending = dataset.get("file_ending", ".nii.gz")
    if not isinstance(ending, str) or not ending.startswith("."):
        raise ValueError(f"{path}: file_ending is {shown(ending)}; expected one such as '.nii.gz'.")
    label_files = {file.name[: -len(ending)]: file for file in _visible(home / masks, ending)}
    image_files: dict[str, dict[int, Path]] = {}
    for file in _visible(home / images, ending):
        stem = file.name[: -len(ending)]
        known = numbered(stem)
        # the Decathlon has one file for all channels, which may itself end in four digits
        case, channel = known if known and stem not in label_files else (stem, -1)
        image_files.setdefault(case, {})[channel] = file
    if not image_files:
        raise ValueError(f"{home / images}: no file that ends in {ending}, as {path} says.")
    without = sorted(image_files.keys() - label_files.keys())
    alone = sorted(label_files.keys() - image_files.keys())
    if without or alone:
        told = [
            f"{len(without)} of {len(image_files)} images have no labels in {masks}: {some(without)}"
            if without
            else "",
            f"{len(alone)} of {len(label_files)} label files have no image in {images}: {some(alone)}"
            if alone
            else "",
        ]
        raise ValueError(
            f"{home}: {'; '.join(t for t in told if t)}. Expected a pair for each case."
        )
    one = all(set(parts) in ({-1}, {0}) for parts in image_files.values())
    expected = set(range(len(names)))
    odd = {} if one else {c: set(p) for c, p in image_files.items() if set(p) != expected}
    for case, parts in odd.items():
        has = ", ".join(f"_{n:04d}" if n >= 0 else "no number" for n in sorted(parts))
        raise ValueError(
            f"{home / images}: {case} has the channels {has}; expected _0000 to _{len(names) - 1:04d}, because {path} "
            f"names {len(names)} channels ({', '.join(names)}). {len(odd)} of {len(image_files)} cases are so."
        )
    return {
        case: (tuple(file for _, file in sorted(parts.items())), label_files[case])
        for case, parts in sorted(image_files.items())
    }


def _visible(folder: Path, ending: str) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder.")
    return sorted(
        file
        for file in folder.iterdir()
        if file.name.endswith(ending) and not file.name.startswith(".") and file.is_file()
    )


def _case(
    id: str,
    group: str,
    images: tuple[Path, ...],
    mask: Path,
    values: MaskValues,
    names: tuple[str, ...],
    trust_shape: bool,
    row: Mapping[str, str],
) -> Case:
    return Case(
        id,
        group,
        partial(read_channels, images, names),
        partial(read_truth, images[0], mask, values, trust_shape),
        tuple(made for file in images for made in made_of(file)),
        made_of(mask),
        {k: v for k, v in row.items() if k not in ("id", "stem", "image", "mask")},
        channels=names,
    )


def _with_test(splits: Splits, test: Sequence[Case]) -> Splits:
    """The splits of imagesTr with those of imagesTs as "test"; refuses a patient that is in both."""
    if "test" in splits:
        raise ValueError(
            "split divides imagesTr into a split 'test' too, but test_set takes imagesTs for it. Write "
            "split: {train: 0.8, val: 0.2}, or leave out test_set."
        )
    learned = {case.group: case for cases in splits.values() for case in cases}
    for case in test:
        if other := learned.get(case.group):
            raise ValueError(
                f"group {case.group!r} is in imagesTr ({other.id}) and in imagesTs ({case.id}). Scores would be too "
                "high. If they are not of one patient, write group: '{stem}'."
            )
    return {**splits, "test": tuple(sorted(test, key=lambda case: case.id))}
