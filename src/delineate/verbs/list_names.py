"""Every name a recipe can use, read from the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from delineate.arguments import in_words
from delineate.resolve import CATALOGUES, GIVEN, hints_of, names, nearest, resolve


@dataclass(frozen=True)
class Entry:
    """A name, its arguments as a recipe writes them, and a summary of one line.

    types: the type of each argument, in words.
    """

    name: str
    arguments: str
    summary: str
    types: Mapping[str, str] = field(default_factory=dict)


def list_names(catalogue: str) -> Iterator[Entry]:
    """The entries of a catalogue, the settings of the trainer, or the recipes in the folder `recipes`.

    Raises:
        ValueError: no such catalogue.
    """
    if catalogue == "recipes":
        yield from _recipes()
        return
    if catalogue == "trainer":
        yield from _settings()
        return
    if catalogue not in CATALOGUES:
        known = [*CATALOGUES, "trainer", "recipes"]
        raise ValueError(
            f"nothing to list under {catalogue!r}{nearest(catalogue, known)} "
            f"There are: {', '.join(known)}."
        )
    for name in names(catalogue):
        thing = resolve(catalogue, name)
        given = GIVEN.get(catalogue, set())
        yield Entry(name, _arguments(thing, given), _first_line(thing), types_of(thing, given))


def types_of(thing: object, given: Set[str] = frozenset()) -> dict[str, str]:
    """The type of each argument of a function or a section, in words; arguments without a type are left out."""
    if not callable(thing):
        return {}
    hints = hints_of(thing)
    return {
        name: in_words(hints[name])
        for name, parameter in inspect.signature(thing).parameters.items()
        if name in hints and name not in given and parameter.kind is not parameter.VAR_KEYWORD
    }


def _settings() -> Iterator[Entry]:
    """The settings of the trainer, each with its description from the docstring."""
    from delineate.training.options import Options

    described: dict[str, str] = {}
    here: list[str] = []
    for line in (inspect.getdoc(Options) or "").splitlines():
        known, colon, text = line.partition(":")
        if colon and all(name.strip().isidentifier() for name in known.split(",")):
            here = [name.strip() for name in known.split(",")]
            described |= dict.fromkeys(here, text.strip())
        elif line.startswith(" "):
            described |= {name: f"{described[name]} {line.strip()}" for name in here}
    defaults, types = Options(), types_of(Options)
    for setting in fields(Options):
        name = setting.name
        yield Entry(name, _plain(getattr(defaults, name)), described[name], {name: types[name]})


def _arguments(thing: object, given: Set[str]) -> str:
    if not callable(thing):
        return ""
    written = []
    for name, parameter in inspect.signature(thing).parameters.items():
        if name in given:
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            written.append("...")
        elif parameter.default is parameter.empty:
            written.append(name)
        else:
            written.append(f"{name}={_plain(parameter.default)}")
    return ", ".join(written)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()


def _first_line(thing: object) -> str:
    text = getattr(thing, "summary", None) or inspect.getdoc(thing) or ""
    return str(text).strip().split("\n", 1)[0]


def _recipes() -> Iterator[Entry]:
    for path in sorted(Path("recipes").rglob("*.yaml")):
        comments = [
            line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")
        ]
        yield Entry(str(path), "", comments[1][2:] if len(comments) > 1 else "")


def as_mapping(entries: Iterator[Entry]) -> Mapping[str, Mapping[str, object]]:
    """The entries as a mapping, for --json."""
    return {
        e.name: {"arguments": e.arguments, "summary": e.summary, "types": e.types} for e in entries
    }
