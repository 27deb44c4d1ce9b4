"""Data that a model may be judged on, as a file names them."""

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
    """Data that a model may be judged on, as a file names them.

    folder: where the file lies; relative paths are looked for there first.
    labels: what the masks hold, by name; None where the file does not say.
    whole: whether the file is a recipe, of which the rest is about another model.
    """

    name: str
    folder: Path
    data: Call
    audit: Call
    labels: LabelSet | None
    whole: bool


def load_data(path: str | Path, trust: Trust = NOBODY) -> DataFile:
    """The `data` of a recipe, or of a YAML file with `data` and perhaps `name`, `labels` and `audit`.

    Args:
        path: the file. It may come from another centre, and is data.
        trust: whose code its names may import.

    Raises:
        RecipeError: no such file, no `data` in it, or a section that only a recipe has; with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path}: no such file of data.")
    tree, places = read_sections(path)
    where = partial(nearest_place, places, str(path))
    whole = "model" in tree
    known = SECTIONS if whole else ("name", "data", "labels", "audit")

    for key in tree:
        if key not in known:
            raise RecipeError(
                f"{where(key)}: {key!r} says nothing of data{nearest(str(key), known)} "
                f"Beside data, a file of data may have: {', '.join(k for k in known if k != 'data')}."
            )
    if tree.get("data") is None:
        raise RecipeError(f"{path}: the section 'data' is missing.")
    full = {"audit": {}, **{k: v for k, v in tree.items() if v is not None}}
    # a name or a label with a variable in it would put the reader's environment into a report
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
