"""Convert the YAML form of a call to a `Call`, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from delineate.resolve import FIRST, NOBODY, Call, RecipeError, Trust, shown

Where = Callable[..., str]
"""Path of keys and list positions -> the place where it is written, "file:line" or "--set ..."."""


def as_call(
    item: Any,
    where: Where,
    section: str,
    labels: Collection[str] | None = None,
    trust: Trust = NOBODY,
) -> Call:
    """Convert `name`, `{name: value of the first argument}` or `{name: {argument: value}}` to a `Call`.

    Args:
        item: the YAML value.
        where: name, argument -> the place where it is written.
        section: the name of the section, for messages.
        labels: the names of the recipe's labels, where they are known.
        trust: which modules the name may import.
    """
    if isinstance(item, str):
        return Call(item, {}, where(), {}, labels, trust)
    if isinstance(item, Mapping) and len(item) == 1:
        (name, args), *_ = item.items()
        if isinstance(name, str):
            if args is None or isinstance(args, Mapping):
                places = {argument: where(name, argument) for argument in args or {}}
                return Call(name, dict(args or {}), where(name), places, labels, trust)
            return Call(name, {FIRST: args}, where(name), {}, labels, trust)
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
    """Convert one item, or a list of items, to calls; see `as_call`."""
    if not isinstance(items, list):
        return (as_call(items, where, section, labels, trust),)
    return tuple(
        as_call(item, partial(where, i), section, labels, trust) for i, item in enumerate(items)
    )


def as_tree(call: Call) -> Any:
    """The YAML form of a call, the inverse of `as_call`."""
    if not call.args:
        return call.name
    return {call.name: call.args[FIRST] if FIRST in call.args else dict(call.args)}
