"""The checks: the public files of this folder."""

from __future__ import annotations

import inspect

from delineate.audit._finding import Check, Level
from delineate.resolve import names, resolve


def checks() -> dict[str, Check]:
    """Every check by the name of its file."""
    return {name: resolve("audit", name) for name in names("audit")}


def levels() -> dict[str, Level]:
    """The names of all findings with their levels: `FINDS` of each check's file."""
    levels: dict[str, Level] = {}
    for check in checks().values():
        levels |= inspect.getmodule(check).FINDS  # type: ignore[union-attr]
    return levels


def refusals() -> tuple[str, ...]:
    """The names of the findings of level "refuse" that a recipe can allow.

    `NEVER_ALLOWED` of a check's file has those that cannot be allowed: image and truth do not form a pair, or a group
    of the recipe is in two splits.
    """
    never = {
        name
        for check in checks().values()
        for name in getattr(inspect.getmodule(check), "NEVER_ALLOWED", ())
    }
    return tuple(
        name for name, level in levels().items() if level == "refuse" and name not in never
    )
