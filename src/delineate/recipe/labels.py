"""Read labels from a recipe, an nnU-Net dataset.json or a label file -> LabelSet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from delineate.core.labels import PALETTE, Label, LabelSet
from delineate.recipe.calls import Where
from delineate.recipe.yaml_file import nearest_place, read_sections
from delineate.resolve import Call, RecipeError, bind, shown


def load_labels(path: str | Path) -> tuple[LabelSet, Call]:
    """Read the labels in a YAML or JSON file, and the other keys of the file as a `Call`.

    The file is a recipe, an nnU-Net dataset.json, or only labels: `{liver: 1, tumour: {value: 2, kind: thing}}`.

    Raises:
        RecipeError: no such file, or no valid labels in it; with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path}: no such label file.")
    tree, places = read_sections(path)
    inner = isinstance(tree.get("labels"), dict)
    written = tree["labels"] if inner else tree
    where = partial(nearest_place, places, str(path))
    if path.suffix == ".json":
        written = _of_nnunet(
            written, tree.get("regions_class_order"), where("labels") if inner else str(path)
        )
    labels = labels_of(
        _without_background(written), where if inner else lambda *place: where(*place[1:])
    )
    beside = {k: v for k, v in tree.items() if inner and k != "labels"}
    others = Call(str(path), beside, str(path), {key: where(key) for key in beside}, labels.names)
    return labels, others


def dataset_labels(dataset: Mapping[str, Any], where: str) -> LabelSet:
    """The labels of a dataset.json of the Decathlon or nnU-Net that is already read.

    where: the file, for messages.

    Raises:
        RecipeError: the section `labels` is missing or invalid.
    """
    written = dataset.get("labels")
    if not isinstance(written, Mapping):
        raise RecipeError(
            f"{where}: labels is {shown(written)}; expected {{'background': 0, 'liver': 1}}, or before version 2 of "
            "nnU-Net {'0': 'background', '1': 'liver'}."
        )
    named = _of_nnunet(written, dataset.get("regions_class_order"), where)
    return labels_of(_without_background(named), lambda *_: where)


def _without_background(labels: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in labels.items() if isinstance(v, bool) or v not in (0, "0")}


def labels_of(tree: Any, where: Where) -> LabelSet:
    """Convert the section `labels` of a recipe to a `LabelSet`.

    Raises:
        RecipeError: the section is not a mapping, or a label is invalid; with the place.
    """
    if not isinstance(tree, Mapping):
        raise RecipeError(
            f"{where('labels')}: labels is {shown(tree)}; expected name: {{value: 1, ...}}."
        )
    labels = []
    for position, (name, fields) in enumerate(tree.items()):
        place = where("labels", name)
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise RecipeError(
                f"{place}: the name of a label is {shown(name)}; expected a text; write it in quotes."
            )
        fields = {"value": fields} if isinstance(fields, int) else fields
        if fields is not None and not isinstance(fields, Mapping):
            raise RecipeError(
                f"{place}: label {name!r} is {shown(fields)}; expected a number, or "
                "{value: 1, kind: thing}."
            )
        places = {field: where("labels", name, field) for field in fields or {}}
        call = Call(f"label {name!r}", fields or {}, place, places)
        args = bind(Label, call, given={"name"})
        try:
            args.setdefault("colour", PALETTE[position % len(PALETTE)])
            labels.append(Label(name=str(name), **args))
        except ValueError as error:
            raise call.fail(str(error)) from error
    try:
        return LabelSet(tuple(labels))
    except ValueError as error:
        raise RecipeError(f"{where('labels')}: {error}") from error


def _of_nnunet(labels: Mapping[str, Any], order: Any, where: str) -> dict[str, Any]:
    """Convert the labels of a dataset.json, `{"background": 0, "liver": 1, "ignore": 2}`, to those of a recipe.

    Before version 2, keys and values are exchanged. A label of several values is a region,
    `{"liver": [1, 2], "tumour": 2}`. `regions_class_order` then gives the value of each label in the label map.
    """
    if all(str(name).isdecimal() and isinstance(value, str) for name, value in labels.items()):
        labels = {str(value): int(name) for name, value in labels.items()}
    named = {
        str(name): {"value": value, "kind": "ignore"} if name == "ignore" else value
        for name, value in labels.items()
        if not isinstance(value, list)
    }
    if any(isinstance(value, list) for value in labels.values()):
        named.update(_regions(labels, order, where))
    return named


def _regions(labels: Mapping[str, Any], order: Any, where: str) -> dict[str, Any]:
    """Convert regions, which have several values, to labels that include other labels."""
    names = [name for name in labels if name not in ("background", "ignore")]
    lists = [labels[n] if isinstance(labels[n], list) else [labels[n]] for n in names]
    plain = isinstance(order, list) and all(type(v) is int for part in (*lists, order) for v in part)  # fmt: skip
    if not plain or len(order) != len(names):
        raise RecipeError(
            f"{where}: some of {', '.join(map(str, names))} have several values; expected regions_class_order beside "
            "labels, with the value of each label in the label map, in their order."
        )
    members = {name: set(part) for name, part in zip(names, lists, strict=True)}
    regions = {}
    for name, value in zip(names, order, strict=True):
        parts = [n for n in names if n != name and members[n] < members[name]]
        if members[name] != {value}.union(*(members[n] for n in parts)):
            raise RecipeError(
                f"{where}: region {name!r} has the values {sorted(members[name])}; expected its value {value} in "
                f"regions_class_order, and the values of the labels inside it ({', '.join(parts) or 'none'})."
            )
        regions[name] = {"value": value, "includes": parts}
    return regions
