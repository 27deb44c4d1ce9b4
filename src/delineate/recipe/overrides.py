"""Apply `--set section.name.argument=value` to the tree of a recipe."""

from __future__ import annotations

import copy
from typing import Any

from delineate.recipe.sections import DEFAULTS, INIT_FROM, ONE_CALL, SECTIONS
from delineate.recipe.yaml_file import Place, read_text
from delineate.resolve import RecipeError, nearest, shown


def override(tree: dict[str, Any], places: dict[Place, str], text: str) -> None:
    """Write `a.b.c=value` into the tree. An item of a list is addressed by its name or its number."""
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
    if not value.strip():
        raise RecipeError(
            f"--set {text}: there is no value after =, as with a shell variable that is not set. Expected "
            f"{'a path' if last == INIT_FROM else 'a value'}; for none, write {path}=null."
        )
    here: Any = tree
    place: Place = ()
    for depth, key in enumerate(above):
        if depth == 1:
            _make_way(here, place, key, places)
        place += _inside(here, key, text)
        if isinstance(here, dict) and key not in here:
            places[place] = f"--set {text}"
        inner = _step(here, key, text)
        if isinstance(inner, str) or inner is None:  # `loss: focal` and loss.focal.gamma=3
            inner = {inner: {}} if isinstance(inner, str) else {}
            _put(here, key, inner, text)
        elif not isinstance(inner, dict | list):
            raise RecipeError(
                f"--set {text}: {'.'.join(above[: depth + 1])} is {shown(inner)}; expected a mapping or a list."
            )
        here = inner
    parsed, _ = read_text(value, f"--set {text}")
    if len(above) == 1:
        _make_way(here, place, last, places)
    elif path == "model":
        parsed = _with_init_from(parsed, tree.get("model"))
    at = _inside(here, last, text)
    place += at if isinstance(here, dict) else at[:1]
    _put(here, last, parsed, text)
    _forget(places, place)
    places[place] = f"--set {text}"


def _make_way(here: Any, place: Place, key: str, places: dict[Place, str]) -> None:
    """Remove the old optimizer if `key` names a new one; `init_from` of a model is kept."""
    if place[0] not in ONE_CALL or not isinstance(here, dict) or key in here:
        return
    if (*place, key) == ("model", INIT_FROM):
        return
    for old in [old for old in here if (*place, old) != ("model", INIT_FROM)]:
        del here[old]
        _forget(places, (*place, old))


def _with_init_from(model: Any, before: Any) -> Any:
    """A new value of the section `model` with the `init_from` of the value before, unless it has its own."""
    if not isinstance(before, dict) or INIT_FROM not in before:
        return model
    if isinstance(model, str):
        model = {model: {}}
    if isinstance(model, dict) and INIT_FROM not in model:
        return {**model, INIT_FROM: before[INIT_FROM]}
    return model


def _forget(places: dict[Place, str], place: Place) -> None:
    """Remove the places of the parts of a value that is replaced."""
    for inner in [p for p in places if p[: len(place)] == place and len(p) > len(place)]:
        del places[inner]


def _inside(here: Any, key: str, text: str) -> Place:
    """The keys of a step from `here`, as they are in `places`."""
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
            f"--set {text}: {key!r} matches {names.count(key)} of the items {', '.join(map(str, names))}; expected one."
        )
    return names.index(key)


def _is_number(key: str) -> bool:
    return key.isdecimal() and len(key) < 6
