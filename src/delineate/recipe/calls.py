"""What a recipe writes of a call -> Call, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from delineate.resolve import FIRST, NOBODY, Call, RecipeError, Trust, shown

Where = Callable[..., str]
"""Keys and positions, from the outside in -> where that was written, "file:line" or "--set ..."."""


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
