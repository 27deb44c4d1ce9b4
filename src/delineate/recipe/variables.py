"""`${NAME}` and `${NAME:-default}` in a recipe -> the variables of the environment."""

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
    """The tree with `${NAME}` and `${NAME:-default}` replaced from the environment."""
    if isinstance(tree, str):
        return VARIABLE.sub(partial(_variable, where), tree)
    if isinstance(tree, Mapping):
        return {key: expanded(value, partial(where, key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [expanded(item, partial(where, i)) for i, item in enumerate(tree)]
    return tree


def _variable(where: Where, match: re.Match[str]) -> str:
    name, default = match.groups()
    found = os.environ.get(name, default)
    if found is None:
        raise RecipeError(
            f"{where()}: the recipe uses ${{{name}}}, but the variable {name} is not set."
        )
    return found


def refuse_variables(tree: Any, place: Place, where: Where) -> None:
    """Refuse a saved recipe that asks for variables where it should hold values: what it means would not be fixed."""
    if isinstance(tree, str) and (found := VARIABLE.search(tree)):
        raise RecipeError(
            f"{where(*place)}: {found[0]} stands in a saved recipe, which takes variables of the environment in `data` "
            "only. Write the value that it had in training."
        )
    if isinstance(tree, Mapping | list):
        for key, item in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            refuse_variables(item, (*place, key), where)
