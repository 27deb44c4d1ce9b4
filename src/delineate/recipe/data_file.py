"""Data files: the data of an evaluation, from a recipe or from a YAML file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from delineate.core.labels import LabelSet
from delineate.recipe.calls import as_call
from delineate.recipe.labels import labels_of
from delineate.recipe.sections import SECTIONS
from delineate.recipe.variables import expanded
from delineate.recipe.yaml_file import nearest_place, read_sections
from delineate.resolve import NOBODY, Call, RecipeError, Trust, nearest


@dataclass(frozen=True)
class DataFile:
    """Data on which a model can be evaluated.

    folder: the folder of the file; relative paths are searched there first.
    labels: the labels of the masks; None if the file does not list them.
    whole: whether the file is a complete recipe; its other sections describe another model and are not used.
    """

    name: str
    folder: Path
    data: Call
    audit: Call
    labels: LabelSet | None
    whole: bool


def load_data(path: str | Path, trust: Trust = NOBODY) -> DataFile:
    """Read the section `data` of a recipe, or of a YAML file with `data` and optional `name`, `labels` and `audit`.

    Args:
        path: the file. It may come from another centre, so it is not trusted.
        trust: which modules its names may import.

    Raises:
        RecipeError: no such file, no section `data`, or a section that only a recipe has; with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path}: no such data file.")
    tree, places = read_sections(path)
    where = partial(nearest_place, places, str(path))
    whole = "model" in tree
    known = SECTIONS if whole else ("name", "data", "labels", "audit")

    for key in tree:
        if key not in known:
            raise RecipeError(
                f"{where(key)}: {key!r} is not a section of a data file{nearest(str(key), known)} "
                f"Beside data, a data file may have: {', '.join(k for k in known if k != 'data')}."
            )
    if tree.get("data") is None:
        raise RecipeError(f"{path}: the section 'data' is missing.")
    full = {"audit": {}, **{k: v for k, v in tree.items() if v is not None}}
    # only in data: a variable in a name or a label would copy the user's environment into a report
    full["data"] = expanded(full["data"], partial(where, "data"))
    if not isinstance(full["audit"], dict):
        raise RecipeError(f"{where('audit')}: audit is {full['audit']!r}; expected key: value.")
    return DataFile(
        name=Path(str(full.get("name", path.stem))).name or path.stem,
        folder=path.resolve().parent,
        data=as_call(full["data"], partial(where, "data"), "data", trust=trust),
        audit=Call("audit", full["audit"], where("audit")),
        labels=labels_of(full["labels"], where) if "labels" in full else None,
        whole=whole,
    )
