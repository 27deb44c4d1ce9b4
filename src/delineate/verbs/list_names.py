"""Every name a recipe can use, read from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import yaml

from delineate.resolve import CATALOGUES, GIVEN, names, nearest, resolve


@dataclass(frozen=True)
class Entry:
    """A name, its arguments as a recipe writes them, and one line on what it is."""

    name: str
    arguments: str
    summary: str


def list_names(catalogue: str) -> Iterator[Entry]:
    """The entries of a catalogue, or the recipes at hand.

    Raises:
        ValueError: no such catalogue.
    """
    if catalogue == "recipes":
        yield from _recipes()
        return
    if catalogue not in CATALOGUES:
        known = [*CATALOGUES, "recipes"]
        raise ValueError(
            f"nothing to list under {catalogue!r}{nearest(catalogue, known)} "
            f"There are: {', '.join(known)}."
        )
    for name in names(catalogue):
        thing = resolve(catalogue, name)
        yield Entry(name, _arguments(thing, GIVEN.get(catalogue, set())), _first_line(thing))


def _arguments(thing: object, given: Set[str]) -> str:
    if not callable(thing):
        return ""
    said = []
    for name, parameter in inspect.signature(thing).parameters.items():
        if name in given:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            said.append("...")
        elif parameter.default is parameter.empty:
            said.append(name)
        else:
            said.append(f"{name}={_plain(parameter.default)}")
    return ", ".join(said)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def _first_line(thing: object) -> str:
    text = getattr(thing, "summary", None) or inspect.getdoc(thing) or ""
    return str(text).strip().split("\n", 1)[0]


def _recipes() -> Iterator[Entry]:
    for path in sorted(Path("recipes").rglob("*.yaml")):
        comments = [line for line in path.read_text().splitlines() if line.startswith("# ")]
        yield Entry(str(path), "", comments[1][2:] if len(comments) > 1 else "")


def as_mapping(entries: Iterator[Entry]) -> Mapping[str, Mapping[str, str]]:
    """For --json."""
    return {e.name: {"arguments": e.arguments, "summary": e.summary} for e in entries}
