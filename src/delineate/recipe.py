"""A recipe: everything that decides a result, in one YAML file, checked before anything runs."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Len

from delineate.arguments import Seed
from delineate.core.labels import PALETTE, Label, LabelSet
from delineate.resolve import FIRST, NOBODY, OWN, Call, RecipeError, Trust, bind, nearest, shown
from delineate.yaml_file import Place, read_text, read_yaml

Where = Callable[..., str]
"""Keys and positions, from the outside in -> where that was written, "file:line" or "--set ..."."""

SECTIONS = (
    "name", "data", "audit", "labels", "task", "prepare", "augment", "model", "loss", "deep_supervision", "optimizer",
    "schedule", "trainer", "predict", "refine", "metrics", "seed",
)  # fmt: skip
ONE_CALL = ("data", "task", "model", "deep_supervision", "optimizer", "schedule")
DEFAULTS: dict[str, Any] = {
    "audit": {},
    "task": "semantic",
    "prepare": [],
    "augment": [],
    "deep_supervision": "halving",
    "optimizer": "adamw",
    "schedule": "constant",
    "trainer": {},
    "predict": [],
    "refine": [],
    "metrics": [],  # the first of the full set that fit the task
    "seed": 0,
}

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Recipe:
    """A recipe, read and taken apart.

    Attributes:
        name: what runs are filed under; the file's name without its ending, unless the recipe says.
        folder: where the recipe lies, or lay when its run was begun; relative paths of `data` are looked for there
            first.
        tree: what is saved: what was written, overrides in place. Variables of the environment stay by name in
            `data`, whose paths are another machine's business; everywhere else they have their values.
        loss: the terms of a weighted sum; each may carry an argument `weight`.
        started: the folder from which the run of a saved recipe was begun; relative paths of `data` are looked for
            there too.
    """

    name: str
    folder: Path
    tree: Mapping[str, Any]
    data: Call
    audit: Call
    labels: LabelSet
    task: Call
    prepare: tuple[Call, ...]
    augment: tuple[Call, ...]
    model: Call
    loss: tuple[Call, ...]
    deep_supervision: Call
    optimizer: Call
    schedule: Call
    trainer: Call
    predict: tuple[Call, ...]
    refine: tuple[Call, ...]
    metrics: tuple[Call, ...]
    seed: int
    started: Path | None = None

    def save(self, path: Path) -> None:
        """Write the recipe as it was run."""
        tree = {"name": self.name, **self.tree}
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of the caller's own: what it names as `package.module:function` will be imported.

    A recipe that came with somebody's bundle or run is read by `load_bundle` and the verbs, which import nothing
    that they are not told to trust.

    Args:
        path: a YAML file. `${NAME}` and `${NAME:-default}` in its texts stand for variables of the environment.
        overrides: "section.name.argument=value", as `--set` takes them.

    Raises:
        RecipeError: not YAML, an unknown or missing section, or an override that fits nothing;
            with the line and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path}: no such recipe. `delineate list recipes` shows those at hand.")
    return _load(path, overrides, OWN)


def saved_recipe(path: Path, trust: Trust = NOBODY, *, data: bool = False) -> Recipe:
    """Read the recipe of a bundle or a run: it is data, and names no code that is not trusted.

    Args:
        path: the file that `Recipe.save` wrote.
        trust: whose code its names may import.
        data: put the values of variables into its section `data`, to load its cases. Without, the section is left as
            it is written, and no variable of the environment is looked at.

    Raises:
        RecipeError: as `load_recipe`; or a variable outside of `data`.
    """
    return _load(path, (), trust, saved=True, data=data)


def _load(
    path: Path, overrides: Sequence[str], trust: Trust, *, saved: bool = False, data: bool = True
) -> Recipe:
    tree, places = _read(path)
    for text in overrides:
        _override(tree, places, text)
    where = partial(_nearest_place, places, str(path))

    for key in tree:
        if key not in SECTIONS:
            raise RecipeError(
                f"{where(key)}: unknown section {shown(key)}{nearest(str(key), SECTIONS)} "
                f"A recipe has: {', '.join(SECTIONS)}"
            )
    for key in ("data", "labels", "model", "loss"):
        if tree.get(key) is None:
            raise RecipeError(f"{where()}: the section {key!r} is missing.")
    written = tree["data"]
    if saved:
        _refuse_variables({k: v for k, v in tree.items() if k != "data"}, (), where)
    else:
        tree = {key: _expanded(value, partial(where, key)) for key, value in tree.items()}
    full = {**DEFAULTS, **{k: v for k, v in tree.items() if v is not None}}
    full["data"] = _expanded(written, partial(where, "data")) if data else written
    plain: dict[str, Any] = {
        "name": path.stem,
        **{key: full[key] for key in ("name", "seed") if key in full},
    }
    top = bind(_top, Call("the recipe", plain, str(path), {key: where(key) for key in plain}))
    labels = _labels(full["labels"], where)

    def one(section: str) -> Call:
        return as_call(full[section], partial(where, section), section, labels.names, trust)

    def many(section: str) -> tuple[Call, ...]:
        return as_calls(full[section], partial(where, section), section, labels.names, trust)

    def options(section: str) -> Call:
        if not isinstance(full[section], dict):
            raise RecipeError(
                f"{where(section)}: {section} is {shown(full[section])}; expected key: value."
            )
        places = {key: where(section, key) for key in full[section]}
        return Call(section, full[section], where(section), places, labels.names, trust)

    if isinstance(full["predict"], dict):
        raise RecipeError(
            f"{where('predict')}: predict is key: value; expected a list of wrappers, from the inside out. "
            f"Write: predict: {_as_wrappers(full['predict'])}"
        )
    if full["loss"] == []:
        raise RecipeError(f"{where('loss')}: loss is []; expected at least one, for instance dice.")
    return Recipe(
        name=Path(top["name"]).name or path.stem,
        folder=path.resolve().parent,
        tree={**tree, "data": written},
        data=one("data"),
        audit=options("audit"),
        labels=labels,
        task=one("task"),
        prepare=many("prepare"),
        augment=many("augment"),
        model=one("model"),
        loss=many("loss"),
        deep_supervision=one("deep_supervision"),
        optimizer=one("optimizer"),
        schedule=one("schedule"),
        trainer=options("trainer"),
        predict=many("predict"),
        refine=many("refine"),
        metrics=many("metrics"),
        seed=top["seed"],
    )


def _as_wrappers(settings: Mapping[Any, Any]) -> str:
    """The list of wrappers that says what the settings `window`, `overlap` and `flips` said before there was one."""
    rest = dict(settings)
    window = {"size": rest.pop("window", None), "overlap": rest.pop("overlap", None)}
    windows = {key: value for key, value in window.items() if value is not None}
    found = [{"sliding_window": windows}] if "size" in windows else []
    found += [{name: value} for name, value in rest.items()]
    written: str = yaml.safe_dump(found, default_flow_style=True, sort_keys=False, width=10**6)
    return written.strip()


def _top(name: Annotated[str, Len(1, 200)], seed: Seed) -> None:
    """What a recipe says outside of sections, as a signature to check it against."""


def load_labels(path: str | Path) -> tuple[LabelSet, Call]:
    """The labels in a YAML or JSON file, and what else is written beside them.

    The file is a recipe, an nnU-Net dataset.json, or labels alone: `{liver: 1, tumour: {value: 2, kind: thing}}`.

    Raises:
        RecipeError: no such file, or nothing in it that gives labels; with the line.
    """
    path = Path(path)
    if not path.is_file():
        raise RecipeError(f"{path}: no such file of labels.")
    tree, places = _read(path)
    inner = isinstance(tree.get("labels"), dict)
    written = tree["labels"] if inner else tree
    where = partial(_nearest_place, places, str(path))
    if path.suffix == ".json":
        written = _of_nnunet(
            written, tree.get("regions_class_order"), where("labels") if inner else str(path)
        )
    written = {n: v for n, v in written.items() if isinstance(v, bool) or v not in (0, "0")}
    labels = _labels(written, where if inner else lambda *place: where(*place[1:]))
    beside = {k: v for k, v in tree.items() if inner and k != "labels"}
    said = Call(str(path), beside, str(path), {key: where(key) for key in beside}, labels.names)
    return labels, said


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
    tree, places = _read(path)
    where = partial(_nearest_place, places, str(path))
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
    full["data"] = _expanded(full["data"], partial(where, "data"))
    if not isinstance(full["audit"], dict):
        raise RecipeError(f"{where('audit')}: audit is {full['audit']!r}; expected key: value.")
    return DataFile(
        name=Path(str(full.get("name", path.stem))).name or path.stem,
        folder=path.resolve().parent,
        data=as_call(full["data"], partial(where, "data"), "data", trust=trust),
        audit=Call("audit", full["audit"], where("audit")),
        labels=_labels(full["labels"], where) if "labels" in full else None,
        whole=whole,
    )


def _of_nnunet(labels: Mapping[str, Any], order: Any, where: str) -> dict[str, Any]:
    """Labels as a dataset.json writes them: `{"background": 0, "liver": 1, "ignore": 2}`; before version 2, turned.

    A label of several values is a region, `{"liver": [1, 2], "tumour": 2}`; `regions_class_order` then says which value
    each is written as.
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
    """Labels of several values as labels that include others."""
    found = [name for name in labels if name not in ("background", "ignore")]
    lists = [labels[n] if isinstance(labels[n], list) else [labels[n]] for n in found]
    plain = isinstance(order, list) and all(type(v) is int for part in (*lists, order) for v in part)  # fmt: skip
    if not plain or len(order) != len(found):
        raise RecipeError(
            f"{where}: some of {', '.join(map(str, found))} have several values; expected regions_class_order beside "
            "labels, with the value that each is written as, in their order."
        )
    members = {name: set(part) for name, part in zip(found, lists, strict=True)}
    regions = {}
    for name, value in zip(found, order, strict=True):
        parts = [n for n in found if n != name and members[n] < members[name]]
        if members[name] != {value}.union(*(members[n] for n in parts)):
            raise RecipeError(
                f"{where}: region {name!r} has the values {sorted(members[name])}; expected the value {value} that "
                f"regions_class_order gives it, and those of the labels inside it ({', '.join(parts) or 'none'})."
            )
        regions[name] = {"value": value, "includes": parts}
    return regions


def _read(path: Path) -> tuple[dict[str, Any], dict[Place, str]]:
    tree, places = read_yaml(path)
    if not isinstance(tree, dict):
        raise RecipeError(
            f"{path}: expected sections like 'data: ...', found {type(tree).__name__}."
        )
    return tree, places


def _nearest_place(places: Mapping[Place, str], path: str, *place: str | int) -> str:
    """Where something was written, or the innermost thing around it."""
    for cut in range(len(place), -1, -1):
        if place[:cut] in places:
            return places[place[:cut]]
    return path


def as_call(
    item: Any,
    where: Where,
    section: str,
    labels: Collection[str] | None = None,
    trust: Trust = NOBODY,
) -> Call:
    """`name`, `{name: value of the first argument}` or `{name: {argument: value}}` -> Call.

    Args:
        item: what is written.
        where: name, argument -> where that was written.
        section: what the item is called in messages.
        labels: the names of the recipe's labels, where they are known.
        trust: whose code the name may import.
    """
    if isinstance(item, str):
        return Call(item, {}, where(), {}, labels, trust)
    if isinstance(item, Mapping) and len(item) == 1:
        (name, given), *_ = item.items()
        if isinstance(name, str):
            if given is None or isinstance(given, Mapping):
                places = {argument: where(name, argument) for argument in given or {}}
                return Call(name, dict(given or {}), where(name), places, labels, trust)
            return Call(name, {FIRST: given}, where(name), {}, labels, trust)
    raise RecipeError(
        f"{where()}: {section} is {shown(item)}; expected a name, or {{name: {{argument: value}}}}."
    )


def as_calls(
    items: Any,
    where: Where,
    section: str,
    labels: Collection[str] | None = None,
    trust: Trust = NOBODY,
) -> tuple[Call, ...]:
    """One item as `as_call` takes it, or a list of them."""
    if not isinstance(items, list):
        return (as_call(items, where, section, labels, trust),)
    return tuple(
        as_call(item, partial(where, i), section, labels, trust) for i, item in enumerate(items)
    )


def as_tree(call: Call) -> Any:
    """A call as a recipe writes it: what `as_call` takes."""
    if not call.args:
        return call.name
    return {call.name: call.args[FIRST] if FIRST in call.args else dict(call.args)}


def _labels(tree: Any, where: Where) -> LabelSet:
    if not isinstance(tree, Mapping):
        raise RecipeError(
            f"{where('labels')}: labels is {shown(tree)}; expected name: {{value: 1, ...}}."
        )
    found = []
    for position, (name, fields) in enumerate(tree.items()):
        place = where("labels", name)
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise RecipeError(
                f"{place}: a label is called {shown(name)}; expected a name, in quotes."
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
            found.append(Label(name=str(name), **args))
        except ValueError as error:
            raise call.fail(str(error)) from error
    try:
        return LabelSet(tuple(found))
    except ValueError as error:
        raise RecipeError(f"{where('labels')}: {error}") from error


def _override(tree: dict[str, Any], places: dict[Place, str], text: str) -> None:
    """Write `a.b.c=value` into the tree; a step of a list is named by its name or its number."""
    path, sign, value = text.partition("=")
    if not sign or not path:
        raise RecipeError(f"--set {text}: expected section.name.argument=value.")
    *above, last = path.split(".")
    if "" in (*above, last):
        raise RecipeError(f"--set {text}: a name is missing between the dots.")
    if (above or [last])[0] not in SECTIONS:
        raise RecipeError(
            f"--set {text}: no section {path.split('.')[0]!r}{nearest(path.split('.')[0], SECTIONS)}"
        )
    here: Any = tree
    place: Place = ()
    for depth, key in enumerate(above):
        if depth == 1 and above[0] in ONE_CALL and isinstance(here, dict) and key not in here:
            here.clear()  # another optimiser takes the place of the one there
            _forget(places, place)
        place += _inside(here, key, text)
        if isinstance(here, dict) and key not in here:
            places[place] = f"--set {text}"
        inner = _step(here, key, text)
        if isinstance(inner, str) or inner is None:  # `loss: focal` and loss.focal.gamma=3
            inner = {inner: {}} if isinstance(inner, str) else {}
            _put(here, key, inner, text)
        elif not isinstance(inner, dict | list):
            raise RecipeError(
                f"--set {text}: {'.'.join(above[: depth + 1])} is {shown(inner)}, which has no parts."
            )
        here = inner
    parsed, _ = read_text(value, f"--set {text}")
    at = _inside(here, last, text)
    place += at if isinstance(here, dict) else at[:1]
    _put(here, last, parsed, text)
    _forget(places, place)
    places[place] = f"--set {text}"


def _forget(places: dict[Place, str], place: Place) -> None:
    """Take out what is known of the parts of something that is replaced."""
    for inner in [p for p in places if p[: len(place)] == place and len(p) > len(place)]:
        del places[inner]


def _inside(here: Any, key: str, text: str) -> Place:
    """The place of a step from `here`, as `places` has it."""
    if isinstance(here, dict):
        return (key,)
    i = _index(here, key, text)
    return (i,) if _is_number(key) else (i, key)


def _step(here: Any, key: str, text: str) -> Any:
    if isinstance(here, dict):
        if key not in here and here is not None:
            here[key] = copy.deepcopy(DEFAULTS.get(key, {}))
        return here[key]
    return here[_index(here, key, text)] if _is_number(key) else _named(here, key, text)


def _named(items: list[Any], key: str, text: str) -> Any:
    i = _index(items, key, text)
    if isinstance(items[i], str):
        items[i] = {key: {}}
    items[i][key] = items[i][key] or {}
    return items[i][key]


def _put(here: Any, key: str, value: Any, text: str) -> None:
    if isinstance(here, dict):
        here[key] = value
    else:
        i = _index(here, key, text)
        here[i] = value if _is_number(key) else {key: value}


def _index(items: list[Any], key: str, text: str) -> int:
    names = [
        next(iter(item), "") if isinstance(item, dict) else item if isinstance(item, str) else ""
        for item in items
    ]
    if _is_number(key) and int(key) < len(items):
        return int(key)
    if names.count(key) != 1:
        raise RecipeError(
            f"--set {text}: {key!r} fits {names.count(key)} of the steps {', '.join(map(str, names))}."
        )
    return names.index(key)


def _is_number(key: str) -> bool:
    return key.isdecimal() and len(key) < 6


def _expanded(tree: Any, where: Where) -> Any:
    """The tree with `${NAME}` and `${NAME:-default}` replaced from the environment."""
    if isinstance(tree, str):
        return VARIABLE.sub(partial(_variable, where), tree)
    if isinstance(tree, Mapping):
        return {key: _expanded(value, partial(where, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_expanded(item, partial(where, i)) for i, item in enumerate(tree)]
    return tree


def _variable(where: Where, match: re.Match[str]) -> str:
    name, default = match.groups()
    found = os.environ.get(name, default)
    if found is None:
        raise RecipeError(
            f"{where()}: the recipe uses ${{{name}}}, but the variable {name} is not set."
        )
    return found


def _refuse_variables(tree: Any, place: Place, where: Where) -> None:
    """Refuse a saved recipe that asks for variables where it should hold values: what it means would not be fixed."""
    if isinstance(tree, str) and (found := VARIABLE.search(tree)):
        raise RecipeError(
            f"{where(*place)}: {found[0]} stands in a saved recipe, which takes variables of the environment in `data` "
            "only. Write the value that it had in training."
        )
    if isinstance(tree, Mapping | list):
        for key, item in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            _refuse_variables(item, (*place, key), where)


def all_calls(recipe: Recipe) -> Iterable[tuple[str, Call]]:
    """Every call of a recipe, with the catalogue its name is looked up in."""
    yield "data", recipe.data
    yield "tasks", recipe.task
    yield from (("prepare", call) for call in recipe.prepare)
    yield from (("augment", call) for call in recipe.augment)
    yield "models", recipe.model
    yield from (("losses", call.without("weight")) for call in recipe.loss)
    yield "deep_supervision", recipe.deep_supervision
    yield "optimizers", recipe.optimizer
    yield "schedules", recipe.schedule
    yield from (("predict", call) for call in recipe.predict)
    yield from (("refine", call) for call in recipe.refine)
    yield from (("metrics", call) for call in recipe.metrics)
