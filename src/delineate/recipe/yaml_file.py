"""A YAML file, read within bounds: its size, its depth, and how far its aliases unfold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from delineate.resolve import RecipeError

Place = tuple[str | int, ...]
"""Keys and positions in lists, from the outside in."""

MOST_BYTES = 1_000_000
"""Of a file; the recipes here have 1 to 2 kB."""

MOST_VALUES = 50_000
"""Values in a file once every alias stands for what it repeats; reading that many takes about 3 s."""

DEEPEST = 40
"""Lists and mappings in each other; a recipe has up to 6."""

LARGEST = 2**63
"""Whole numbers beyond are no settings, and Python itself refuses to print the largest."""


def read_yaml(path: str | Path) -> tuple[Any, dict[Place, str]]:
    """What a YAML or JSON file holds, and where each part of it is written, as "file:line".

    Raises:
        RecipeError: not YAML, a key twice, or a file that goes beyond the bounds above; with the line.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RecipeError(
            f"{path}: has {size / 1e6:.1f} MB; expected at most {MOST_BYTES / 1e6:g} MB. Is this the file you meant?"
        )
    try:
        return read_text(path.read_text(encoding="utf-8"), str(path), lines=True)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not valid YAML: not UTF-8 text.") from error


def read_text(text: str, where: str, *, lines: bool = False) -> tuple[Any, dict[Place, str]]:
    """As `read_yaml`, from a text; `where` begins every message, followed by the line if `lines` are told.

    Raises:
        RecipeError: as `read_yaml`.
    """

    def place(mark: yaml.Mark | None) -> str:
        return f"{where}:{mark.line + 1}" if lines and mark is not None else where

    try:
        loader = _Bounded(text)
        node = loader.get_single_node()
        found: dict[Place, str] = {}
        if node is not None:
            _note(node, (), found, place)
        return (None if node is None else loader.construct_document(node)), found
    except _OutOfBoundsError as error:
        raise RecipeError(f"{place(error.problem_mark)}: {error.problem}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        raise RecipeError(f"{place(mark)}: not valid YAML: {problem}.") from error


class _Bounded(yaml.SafeLoader):
    """A loader that counts while it reads, and so stops before anything large is made."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = 0
        self.extents: dict[int, tuple[int, int]] = {}
        """Of each finished node: the values in it with aliases unfolded, and the levels."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        self.nodes += 1
        if self.depth > DEEPEST:
            raise _problem(f"nested more than {DEEPEST} deep", event.start_mark)
        if self.nodes > MOST_VALUES:  # a flat list is counted below only when all of it was read
            raise _problem(f"holds more than {MOST_VALUES:,} values", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return node
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self.extents:
                raise _problem(f"*{event.anchor} stands inside what it repeats", event.start_mark)
        else:
            inner = [self.extents[id(child)] for child in _children(node)]
            values = 1 + sum(count for count, _ in inner)
            levels = 1 + max((level for _, level in inner), default=0)
            self.extents[id(node)] = values, levels
        values, levels = self.extents[id(node)]
        if values > MOST_VALUES:
            raise _problem(f"holds more than {MOST_VALUES:,} values", event.start_mark)
        if self.depth + levels > DEEPEST + 1:
            raise _problem(f"nested more than {DEEPEST} deep", event.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # 2001-99-99, 0b_, !!int many
            raise _problem(f"{str(node.value)[:60]!r} cannot be read", node.start_mark) from error
        if isinstance(value, int) and abs(value) > LARGEST:
            raise _problem("a whole number that is too large", node.start_mark)
        return value


class _OutOfBoundsError(yaml.MarkedYAMLError):
    """YAML, but not what anybody would write by hand."""


def _problem(text: str, mark: Any) -> yaml.MarkedYAMLError:
    return _OutOfBoundsError(problem=text, problem_mark=mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _note(
    node: yaml.Node,
    place: Place,
    found: dict[Place, str],
    where: Callable[[yaml.Mark | None], str],
) -> None:
    """Where each part is written; refuses a key twice, of which YAML would silently keep the last."""
    found[place] = where(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise RecipeError(
                    f"{where(key.start_mark)}: a key is a list or a mapping; expected a name."
                )
            here = (*place, str(key.value))
            if here in found:
                raise RecipeError(f"{where(key.start_mark)}: {key.value!r} is written twice.")
            _note(value, here, found, where)
            found[here] = where(key.start_mark)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _note(value, (*place, i), found, where)


def read_sections(path: Path) -> tuple[dict[str, Any], dict[Place, str]]:
    """`read_yaml` of a file that has to hold a mapping.

    Raises:
        RecipeError: as `read_yaml`; or the file holds something else.
    """
    tree, places = read_yaml(path)
    if not isinstance(tree, dict):
        raise RecipeError(
            f"{path}: expected sections like 'data: ...', found {type(tree).__name__}."
        )
    return tree, places


def nearest_place(places: Mapping[Place, str], path: str, *place: str | int) -> str:
    """Where something was written, or the innermost thing around it."""
    for cut in range(len(place), -1, -1):
        if place[:cut] in places:
            return places[place[:cut]]
    return path
