"""Types of arguments in a recipe, with their limits: a number above 0, a fraction, the name of a label.

An annotation such as `lr: Positive` is enough. `resolve.bind` refuses other values and names the line in the recipe.
`delineate list` and the reference describe the range in words.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, Predicate

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, ValidationInfo
    from pydantic_core import CoreSchema

MOST = 1e12
"""The largest number in a recipe: its square still fits a float32."""

MOST_WHOLE = 2**31 - 1
"""The largest whole number: NumPy, OpenCV and torch all accept it as a size."""


class _NoBool:
    """Refuses `true` and `false`, which are integers in Python."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        def no_bool(value: Any) -> Any:
            if isinstance(value, bool):
                raise ValueError("true and false are not numbers")
            return value

        return core_schema.no_info_before_validator_function(no_bool, handler(source))


class _KnownLabel:
    """Refuses a name that is not a label of the recipe; accepts any name where the labels are unknown."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        def known(name: str, info: ValidationInfo) -> str:
            labels: Collection[str] | None = (info.context or {}).get("labels")
            if labels is not None and name not in labels:
                raise ValueError("no such label")
            return name

        return core_schema.with_info_after_validator_function(known, handler(source))


class _IsBundle:
    """Marks the path of a bundle: when a recipe with such a path is saved, the bundle is copied along."""


def odd(number: int) -> bool:
    """Whether a number is odd."""
    return number % 2 == 1


Number = Annotated[float, _NoBool(), Ge(-MOST), Le(MOST)]
NonNegative = Annotated[float, _NoBool(), Ge(0), Le(MOST)]
Positive = Annotated[float, _NoBool(), Gt(0), Le(MOST)]

Fraction = Annotated[float, _NoBool(), Ge(0), Le(1)]
FractionAboveZero = Annotated[float, _NoBool(), Gt(0), Le(1)]
FractionBelowOne = Annotated[float, _NoBool(), Ge(0), Lt(1)]
FractionBetween = Annotated[float, _NoBool(), Gt(0), Lt(1)]
"""Above 0 and below 1."""

WholeNumber = Annotated[int, _NoBool(), Ge(-MOST_WHOLE), Le(MOST_WHOLE)]
NonNegativeWhole = Annotated[int, _NoBool(), Ge(0), Le(MOST_WHOLE)]
Count = Annotated[int, _NoBool(), Ge(1), Le(MOST_WHOLE)]
OddCount = Annotated[Count, Predicate(odd)]
Seed = Annotated[int, _NoBool(), Ge(0), Le(2**32 - 1)]
"""The range that NumPy and torch both accept."""

Size = Annotated[int, _NoBool(), Ge(1), Le(2**16)]
"""Samples along an axis."""

Shape = Annotated[tuple[Size, ...], Len(1, 3)]
"""Samples along each axis of the array."""

Axis = Annotated[int, _NoBool(), Ge(-3), Le(2)]
"""An axis of the array, 0 the first and -1 the last."""

Text = Annotated[str, Len(1, 1000)]
"""A path, a glob or a name; not empty."""

LabelName = Annotated[str, _KnownLabel()]
"""The name of a label of the recipe, not of kind ignore."""

LabelNames = Annotated[list[LabelName], Len(1)]
"""Names of labels, at least one."""

BundlePath = Annotated[Text, _IsBundle()]
"""The folder of a bundle or a run."""

LabelValue = Annotated[int, _NoBool(), Ge(1), Le(65535)]
"""The value of a label in a label map; 0 is background."""


def names_bundles(hint: Any) -> bool:
    """Whether a type is the path of a bundle, or a list of such paths.

    >>> names_bundles(BundlePath | None), names_bundles(list[BundlePath]), names_bundles(list[Text])
    (True, True, False)
    """
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        return any(isinstance(mark, _IsBundle) for mark in marks) or names_bundles(inner)
    return any(names_bundles(part) for part in get_args(hint))


def in_words(hint: Any, labels: Collection[str] | None = None) -> str:
    """Describe a type in words.

    Args:
        hint: the type annotation of an argument.
        labels: the names that `LabelName` accepts, where they are known.

    >>> in_words(Positive), in_words(Fraction | None), in_words(Shape)
    ('a number above 0', 'a number from 0 to 1, or null', 'a list of 1 to 3 whole numbers from 1 to 65536')
    """
    return _words(hint, labels, many=False)


def _words(hint: Any, labels: Collection[str] | None, *, many: bool) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limited(inner[0], inner[1:], labels, many)
    if origin in (Union, types.UnionType):
        parts = dict.fromkeys(
            _words(part, labels, many=many) for part in inner if part is not type(None)
        )
        return ", or ".join(parts) + (", or null" if type(None) in inner else "")
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin in (list, tuple, Sequence) or hint in (list, tuple):
        return _listed(hint, (), labels, many)
    if origin in (dict, Mapping) or hint is dict:
        if len(inner) < 2 or inner[1] is Any:
            return "key: value"
        return f"name: {_words(inner[1], labels, many=False)}"
    if hint is Any:
        return "anything"
    name = str(getattr(hint, "__name__", hint))
    singular, plural = _NAMES.get(hint, (name, name))
    return plural if many else singular


_NAMES: dict[Any, tuple[str, str]] = {
    float: ("a number", "numbers"),
    int: ("a whole number", "whole numbers"),
    str: ("a text", "texts"),
    bool: ("true or false", "true or false"),
    type(None): ("null", "null"),
}


def _limited(hint: Any, limits: Sequence[Any], labels: Collection[str] | None, many: bool) -> str:
    """Describe an annotated type: the type and its limits."""
    if any(isinstance(limit, _KnownLabel) for limit in limits):
        which = "" if labels is None else f" ({', '.join(labels)})"
        return ("names of labels" if many else "the name of a label") + which
    if any(isinstance(limit, _IsBundle) for limit in limits):
        return "paths of bundles" if many else "the path of a bundle"
    if get_origin(hint) in (list, tuple):
        return _listed(hint, limits, labels, many)
    text = _words(hint, labels, many=many)
    if hint in (int, float):
        text += _range(limits)
    if hint is str and any(getattr(limit, "min_length", 0) for limit in limits):
        text += " that is not empty"
    named = [limit.func.__name__ for limit in limits if isinstance(limit, Predicate)]
    return ", ".join([text, *named])


def _range(limits: Sequence[Any]) -> str:
    """Describe the bounds of a number, without the general limits `MOST` and `MOST_WHOLE`."""
    low = high = ""
    for limit in limits:
        least, above = getattr(limit, "ge", None), getattr(limit, "gt", None)
        most, below = getattr(limit, "le", None), getattr(limit, "lt", None)
        if least is not None and least not in (-MOST, -MOST_WHOLE):
            low = f"{least}"
        if above is not None:
            low = f"above {above}"
        if most is not None and most not in (MOST, MOST_WHOLE):
            high = f"{most}"
        if below is not None:
            high = f"below {below}"
    if not low:
        return f" {high if high.startswith('below') else f'up to {high}'}" if high else ""
    if not high:
        return f" {low}" if low.startswith("above") else f" of {low} or more"
    if low.startswith("above"):
        return f" {low} and {high if high.startswith('below') else f'up to {high}'}"
    return f" from {low} to {high}"


def _listed(hint: Any, limits: Sequence[Any], labels: Collection[str] | None, many: bool) -> str:
    inner = get_args(hint)
    lists = "lists" if many else "a list"
    if not inner:
        return lists
    if get_origin(hint) is tuple and Ellipsis not in inner:
        parts = [_words(part, labels, many=False) for part in inner]
        if len(set(parts)) == 1:
            return f"{'lists' if many else 'a list'} of {len(parts)}, each {parts[0]}"
        return f"{lists} of {', '.join(parts)}"
    least = max((getattr(limit, "min_length", 0) or 0 for limit in limits), default=0)
    most = min((m for limit in limits if (m := getattr(limit, "max_length", None))), default=None)
    number = ""
    if most is not None:
        number = f" {least} to {most}" if least else f" up to {most}"
    elif least:
        number = f" {least} or more"
    return f"{lists} of{number} {_words(inner[0], labels, many=True)}"
