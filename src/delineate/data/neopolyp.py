"""Load BKAI-IGH NeoPolyp: colonoscopy images with neoplastic and non-neoplastic polyps."""

from __future__ import annotations

from pathlib import Path

from delineate.arguments import NonNegative, Text
from delineate.core import LabelSet, Splits
from delineate.data._paths import find_folder, is_readable
from delineate.data._values import BACKGROUND, JPEG, RawValue, Values
from delineate.data.folder import folder as folder_layout
from delineate.resolve import nearest
from delineate.words import some

IMAGES, MASKS = "train", "train_gt"
BLACK = "#000000"
COLOURS = {"neoplastic": "#ff0000", "non_neoplastic": "#00ff00", "undefined": "#ffff00"}
"""The colours of the official masks: red, green, and yellow in the larger NeoPolyp set only."""


def neopolyp(
    *,
    labels: LabelSet,
    folder: Path,
    started: Path | None = None,
    seed: int,
    root: Text,
    table: Text | None = None,
    group: Text | None = None,
    values: Values | None = None,
    split: dict[str, NonNegative] | Text | None = None,
    stratify: Text | None = None,
) -> Splits:
    """BKAI-IGH NeoPolyp as the challenge gives it: images in train, and their coloured masks in train_gt.

    The masks are JPEG and are read at the size of their images: red is neoplastic, green non-neoplastic. Each pixel
    gets the nearest colour, and the noise of the compression at edges is removed, as with `tolerance: jpeg` of the
    layout `folder`. The data set has near duplicates, also of one frame in two light modes; without a `group` they can
    be in several splits. The images in test have no truth and are not read here: `delineate predict RUN ROOT/test -o
    OUT --to neopolyp-csv` writes the challenge's file. Folders may be nested as Kaggle unpacks them, train/train and
    train_gt/train_gt.

    Args:
        labels: neoplastic and non_neoplastic, with any values. One that is not named is background. The larger NeoPolyp
            set also has undefined (yellow): name it with kind: ignore to leave its pixels out, or as a label; masks
            with yellow regions are refused without it.
        folder: the folder of the recipe. Relative paths are searched there, then in the current folder.
        started: the folder in which the training of a saved run was started; searched before the current folder.
        seed: the seed of the split.
        root: the folder with train and train_gt.
        table: a CSV with one row per image, identified by the column id or stem, with columns such as the group.
        group: images that must be in one split: "{stem}" (each its own), "column:NAME", or a regular expression, as in
            the layout `folder`. None: the column group of the table if it has one, else "{stem}".
        values: the colours of each label, for labels of other names: {polyp: ["#ff0000", "#00ff00"]}.
        split: fractions {train: 0.8, val: 0.1, test: 0.1}, folds {folds: 5, fold: 0, test: 0.1}, "column:NAME", or a
            CSV with the columns id and split. None: the column split of the table if it has one, else those fractions.
        stratify: keep the proportions of "labels" (which labels, and their area; reads every mask once) or of
            "column:NAME" in fractions and folds.

    Raises:
        ValueError: no such folders, an unknown label, an image or a mask without its partner, or a split that cannot be
            made.
    """
    current = (Path.cwd(),) if started is None else (started, Path.cwd())
    home = find_folder(root, (folder, *current))
    return folder_layout(
        labels=labels,
        folder=folder,
        started=started,
        seed=seed,
        root=root,
        images=_pattern(home, IMAGES),
        masks=_pattern(home, MASKS),
        table=table,
        group=group,
        values=_colours(labels) if values is None else values,
        tolerance=JPEG,
        split=split,
        stratify=stratify,
    )


def _pattern(home: Path, name: str) -> str:
    """The glob of the files in a folder, or in the folder of the same name inside it."""
    outer = home / name
    if not outer.is_dir():
        known = sorted(path.name for path in home.iterdir() if path.is_dir())
        raise ValueError(
            f"{home}: expected the folders {IMAGES} and {MASKS}; there are: {some(known) or 'none'}."
        )
    nested = (outer / name).is_dir() and not any(is_readable(path) for path in outer.iterdir())
    return f"{name}/{name}/*" if nested else f"{name}/*"


def _colours(labels: LabelSet) -> Values:
    """The colours of the recipe's labels, by their names; the other polyps are background."""
    plain = {
        label.name: label.name.casefold().replace(" ", "_").replace("-", "_")
        for label in labels.labels
    }
    colours: dict[str, RawValue | list[RawValue]] = {}
    for name, known in plain.items():
        if known in COLOURS:
            colours[name] = COLOURS[known]
        elif name in labels.names:
            raise ValueError(
                f"label {name!r} is none of this data's labels: {', '.join(COLOURS)}{nearest(known, COLOURS)} For a "
                f'label of another name write its colours, values: {{{name}: "#ff0000"}}.'
            )
    others = [c for n, c in COLOURS.items() if n not in plain.values() and n != "undefined"]
    return {BACKGROUND: [BLACK, *others]} | colours
