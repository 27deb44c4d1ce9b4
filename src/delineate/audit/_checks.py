"""The checks, which are the public files of this folder."""

from __future__ import annotations

import inspect

from delineate.audit._finding import Check, Level
from delineate.resolve import names, resolve


def checks() -> dict[str, Check]:
    """Every check by the name of its file."""
    return {name: resolve("audit", name) for name in names("audit")}


def levels() -> dict[str, Level]:
    """Every name that a finding can have, and its level: `FINDS` of each check's file."""
    found: dict[str, Level] = {}
    for check in checks().values():
        found |= inspect.getmodule(check).FINDS  # type: ignore[union-attr]
    return found


def refusals() -> tuple[str, ...]:
    """The names under which data are refused that a recipe can allow.

    A check's file names in `NEVER_ALLOWED` what nobody can allow: there is no pair of image and truth, or a group is
    parted that the recipe itself names.
    """
    never = {
        name
        for check in checks().values()
        for name in getattr(inspect.getmodule(check), "NEVER_ALLOWED", ())
    }
    return tuple(
        name for name, level in levels().items() if level == "refuse" and name not in never
    )
