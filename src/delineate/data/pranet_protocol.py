"""Load the polyp images of PraNet's protocol: one training set, and five test sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Len

from delineate.arguments import NonNegative, Text
from delineate.core import LabelSet, Splits
from delineate.data._paths import find_folder
from delineate.data._values import Values
from delineate.data.folder import folder as folder_layout
from delineate.resolve import nearest
from delineate.words import some

TRAINING, TESTING = "TrainDataset", "TestDataset"
SETS = ("CVC-300", "CVC-ClinicDB", "CVC-ColonDB", "ETIS-LaribPolypDB", "Kvasir")
COLUMN = "test_set"
TWO_WAYS = {"train": 0.9, "val": 0.1}


def pranet_protocol(
    *,
    labels: LabelSet,
    folder: Path,
    started: Path | None = None,
    seed: int,
    root: Text,
    sets: Annotated[Sequence[Text], Len(1)] = SETS,
    table: Text | None = None,
    group: Text | None = None,
    values: Values | None = None,
    split: dict[str, NonNegative] | Text = TWO_WAYS,
    stratify: Text | None = None,
) -> Splits:
    """PraNet's protocol: train on 900 images of Kvasir-SEG and 550 of CVC-ClinicDB, test on five sets.

    TrainDataset/image and TrainDataset/mask (or images and masks) give the splits train and val. Each folder of
    TestDataset, with images and masks, gives cases SET/NAME of the split test. Their column `test_set` has the name of
    the set, so that reports and comparisons give the scores of each set, which papers publish, and of all images
    together. Frames of one video are in the training set and in the test sets Kvasir and CVC-ClinicDB; the audit
    refuses near duplicates across splits until the recipe allows them.

    Args:
        labels: one label, the polyp; for several, `values` is needed.
        folder: the folder of the recipe. Relative paths are searched there, then in the current folder.
        started: the folder in which the training of a saved run was started; searched before the current folder.
        seed: the seed of the split of TrainDataset.
        root: the folder with TrainDataset and TestDataset.
        sets: the test sets, by the names of their folders.
        table: a CSV with one row per training image, identified by the column id or stem, with columns such as the
            group.
        group: training images that must be in one split: "{stem}" (each its own), "column:NAME", or a regular
            expression, as in the layout `folder`. None: the column group of the table if it has one, else "{stem}".
            Each test image is its own group.
        values: the values of each label in the masks. None: the label is what is brighter than 127.
        split: the split of TrainDataset: fractions {train: 0.9, val: 0.1}, folds {folds: 5, fold: 0}, "column:NAME", or
            a CSV with the columns id and split.
        stratify: keep the proportions of "labels" (which labels, and their area; reads every mask once) or of
            "column:NAME" in fractions and folds.

    Raises:
        ValueError: no such folder or test set, an image or a mask without its partner, or a split that cannot be made
            or has a split "test".
    """
    current = (Path.cwd(),) if started is None else (started, Path.cwd())
    home = find_folder(root, (folder, *current))
    if values is None:
        if len(labels) > 1:
            raise ValueError(
                f"the masks have one label, and the recipe has {', '.join(labels.names)}. Name one label, polyp, or "
                "give values."
            )
        values = {labels.names[0]: ">127"}
    if not sets:
        raise ValueError("sets names no test set; expected at least one, sets: [Kvasir].")
    if twice := [name for name in sets if sets.count(name) > 1]:
        raise ValueError(f"sets names {twice[0]} twice.")
    pairs = partial(
        folder_layout,
        labels=labels,
        folder=folder,
        started=started,
        seed=seed,
        root=root,
        values=values,
    )
    learned = pairs(
        **_globs(home, TRAINING), table=table, group=group, split=split, stratify=stratify
    )
    if "test" in learned:
        raise ValueError(
            f"split divides {TRAINING} into a split 'test' too, but the test sets are in {TESTING}. Write "
            "split: {train: 0.9, val: 0.1}."
        )
    testing = []
    for name in sets:
        known = [path.name for path in (home / TESTING).glob("*") if path.is_dir()]
        if name not in known:
            raise ValueError(
                f"{home / TESTING}: no test set {name!r}{nearest(name, known)} There are: "
                f"{some(sorted(known), 12) or 'none'}. Write those to use, sets: [Kvasir]."
            )
        testing += [
            replace(case, id=f"{name}/{case.id}", group=f"{name}/{case.id}", columns={COLUMN: name})
            for case in pairs(**_globs(home, f"{TESTING}/{name}"), split={"test": 1.0})["test"]
        ]
    return {**learned, "test": tuple(sorted(testing, key=lambda case: case.id))}


def _globs(home: Path, part: str) -> dict[str, Any]:
    """The globs of images and masks; the folders of TrainDataset have their names in the singular."""
    globs: dict[str, Any] = {}
    for what in ("images", "masks"):
        there = [name for name in (what, what[:-1]) if (home / part / name).is_dir()]
        if len(there) != 1:
            raise ValueError(
                f"{home / part}: expected a folder {what} or {what[:-1]}; there are "
                f"{'both' if there else 'none of the two'}."
            )
        globs[what] = f"{part}/{there[0]}/*"
    return globs
