"""Replace `${NAME}` and `${NAME:-default}` in a recipe by environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from delineate.recipe.calls import Where
from delineate.recipe.yaml_file import Place
from delineate.resolve import RecipeError

VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def expanded(tree: Any, where: Where) -> Any:
    """The tree with `${NAME}` and `${NAME:-default}` replaced by environment variables."""
    if isinstance(tree, str):
        return VARIABLE.sub(partial(_variable, where), tree)
    if isinstance(tree, Mapping):
        return {key: expanded(value, partial(where, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [expanded(item, partial(where, i)) for i, item in enumerate(tree)]
    return tree


def _variable(where: Where, match: re.Match[str]) -> str:
    name, default = match.groups()
    value = os.environ.get(name, default)
    if value is None:
        raise RecipeError(
            f"{where()}: the recipe uses ${{{name}}}, but the variable {name} is not set."
        )
    return value


def refuse_variables(tree: Any, place: Place, where: Where) -> None:
    """Refuse environment variables in these sections of a saved recipe: its settings must not depend on the machine."""
    if isinstance(tree, str) and (match := VARIABLE.search(tree)):
        raise RecipeError(
            f"{where(*place)}: {match[0]} is in a saved recipe, which may use environment variables in `data` "
            "only. Write the value that it had in training."
        )
    if isinstance(tree, Mapping | list):
        for key, item in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            refuse_variables(item, (*place, key), where)
