"""Read YAML files with limits on size, depth and alias expansion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from delineate.resolve import RecipeError

Place = tuple[str | int, ...]
"""Keys and list positions, outermost first."""

MOST_BYTES = 1_000_000
"""Maximum size of a file; the recipes of this project have 1 to 2 kB."""

MOST_VALUES = 50_000
"""Maximum number of values after alias expansion; reading that many takes about 3 s."""

DEEPEST = 40
"""Maximum nesting of lists and mappings; a recipe has up to 6."""

LARGEST = 2**63
"""Maximum absolute value of a whole number; Python itself refuses to print very large ones."""


def read_yaml(path: str | Path) -> tuple[Any, dict[Place, str]]:
    """The content of a YAML or JSON file, and the place of each part of it, as "file:line".

    Raises:
        RecipeError: not YAML, a duplicate key, or a file beyond the limits above; with the line.
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
    """As `read_yaml`, from a text. Every message begins with `where`, followed by the line if `lines` is true.

    Raises:
        RecipeError: as `read_yaml`.
    """

    def place(mark: yaml.Mark | None) -> str:
        return f"{where}:{mark.line + 1}" if lines and mark is not None else where

    try:
        loader = _Bounded(text)
        node = loader.get_single_node()
        places: dict[Place, str] = {}
        if node is not None:
            _note_places(node, (), places, place)
        return (None if node is None else loader.construct_document(node)), places
    except _OutOfBoundsError as error:
        raise RecipeError(f"{place(error.problem_mark)}: {error.problem}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        raise RecipeError(f"{place(mark)}: not valid YAML: {problem}.") from error


class _Bounded(yaml.SafeLoader):
    """A loader that counts values while it parses, and stops before it builds a large object."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = 0
        self.extents: dict[int, tuple[int, int]] = {}
        """id of a finished node -> its number of values after alias expansion, and its number of levels."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        self.nodes += 1
        if self.depth > DEEPEST:
            raise _problem(f"nested more than {DEEPEST} deep", event.start_mark)
        if (
            self.nodes > MOST_VALUES
        ):  # the count below sees a flat list only after all of it was read
            raise _problem(f"holds more than {MOST_VALUES:,} values", event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is None:
            return node
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self.extents:
                raise _problem(
                    f"the alias *{event.anchor} is inside its own anchor", event.start_mark
                )
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
    """Valid YAML that exceeds a limit."""


def _problem(text: str, mark: Any) -> yaml.MarkedYAMLError:
    return _OutOfBoundsError(problem=text, problem_mark=mark)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _note_places(
    node: yaml.Node,
    place: Place,
    places: dict[Place, str],
    where: Callable[[yaml.Mark | None], str],
) -> None:
    """Store the place of each part. Refuses a duplicate key, of which YAML would silently keep the last value."""
    places[place] = where(node.start_mark)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise RecipeError(
                    f"{where(key.start_mark)}: a key is a list or a mapping; expected a name."
                )
            here = (*place, str(key.value))
            if here in places:
                raise RecipeError(f"{where(key.start_mark)}: {key.value!r} is written twice.")
            _note_places(value, here, places, where)
            places[here] = where(key.start_mark)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _note_places(value, (*place, i), places, where)


def read_sections(path: Path) -> tuple[dict[str, Any], dict[Place, str]]:
    """As `read_yaml`, for a file whose content must be a mapping.

    Raises:
        RecipeError: as `read_yaml`; or the content is not a mapping.
    """
    tree, places = read_yaml(path)
    if not isinstance(tree, dict):
        raise RecipeError(
            f"{path}: expected sections like 'data: ...', found {type(tree).__name__}."
        )
    return tree, places


def nearest_place(places: Mapping[Place, str], path: str, *place: str | int) -> str:
    """The place of a part, or of the innermost part that contains it."""
    for cut in range(len(place), -1, -1):
        if place[:cut] in places:
            return places[place[:cut]]
    return path
