"""The checks, which are the public files of this folder."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from delineate.audit._finding import Check, Level

NEVER = ("unreadable", "misaligned", "values_without_label", "group_across_splits")
"""Nobody can allow these: there is no pair of image and truth, or a group is parted that the recipe itself names."""

HOME = __name__.rpartition(".")[0]


@cache
def checks() -> dict[str, Check]:
    """Every check by the name of its file."""
    names = [m.name for m in pkgutil.iter_modules(importlib.import_module(HOME).__path__)]
    return {
        name: getattr(importlib.import_module(f"{HOME}.{name}"), name)
        for name in names
        if not name.startswith("_")
    }


@cache
def levels() -> dict[str, Level]:
    """Every name that a finding can have, and its level."""
    found: dict[str, Level] = {}
    for name in checks():
        found |= importlib.import_module(f"{HOME}.{name}").FINDS
    return found


def refusals() -> tuple[str, ...]:
    """The names under which data are refused that a recipe can allow; what cannot be read is not among them."""
    refused = (name for name, level in levels().items() if level == "refuse")
    return tuple(name for name in refused if name not in NEVER)
