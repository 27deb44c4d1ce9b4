"""A name in a recipe -> the function of that name in a folder.

The tree is the catalogue: `dice` among the losses is the function `dice` in `losses/dice.py`, and
`my_lab.losses:boundary` is yours. Nothing is registered; a file whose name begins with `_` is no entry.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

CATALOGUES = {
    "data": "delineate.data",
    "formats": "delineate.files",
    "prepare": "delineate.prepare",
    "augment": "delineate.prepare.augment",
    "models": "delineate.models",
    "losses": "delineate.losses",
    "optimizers": "delineate.train.optimizers",
    "schedules": "delineate.train.schedules",
    "loggers": "delineate.train.loggers",
    "tasks": "delineate.tasks",
    "metrics": "delineate.metrics",
    "refine": "delineate.refine",
}
"""Each kind of thing that a recipe can name, and where it lives: a folder, or one file of small functions."""

GIVEN = {
    "data": {"labels", "folder", "seed", "trust_shape"},
    "augment": {"labels"},
    "models": {"channels", "classes", "ndim"},
    "losses": {"output", "target"},
    "optimizers": {"params"},
    "schedules": {"progress"},
    "loggers": {"run"},
    "tasks": {"labels"},
    "metrics": {"found", "truth"},
}
"""Arguments that the program itself gives, and a recipe may not."""


FIRST = ""
"""Stands for a function's first argument where a recipe gives it without a name: `{standardize: imagenet}`."""


class RecipeError(ValueError):
    """A recipe that cannot be run as it is written; the message says where, and what to write instead."""


@dataclass(frozen=True)
class Call:
    """A function named in a recipe, the arguments written there, and the place they were written."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    def fail(self, message: str) -> RecipeError:
        """An error that begins with the place this call was written."""
        return RecipeError(f"{self.where}: {message}" if self.where else message)


def names(catalogue: str) -> list[str]:
    """Every name of a catalogue, sorted, without importing what it names.

    >>> "dice" in names("losses")
    True
    """
    home = CATALOGUES[catalogue]
    package = importlib.import_module(home)
    if hasattr(package, "__path__"):
        found = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg]
    else:
        found = list(package.__all__)
    return sorted(name for name in found if not name.startswith("_"))


def resolve(catalogue: str, name: str) -> Callable[..., Any]:
    """The function a name stands for; `package.module:function` names one from anywhere.

    Raises:
        LookupError: no such name; the message gives the nearest one.
    """
    if ":" in name:
        return _foreign(name)
    if name not in names(catalogue):
        known = names(catalogue)
        raise LookupError(
            f"no {name!r} in {catalogue}{nearest(name, known)} There are: {', '.join(known)}. "
            f"One of your own is written package.module:function."
        )
    home = importlib.import_module(CATALOGUES[catalogue])
    if hasattr(home, "__path__"):
        home = importlib.import_module(f"{CATALOGUES[catalogue]}.{name}")
    function: Callable[..., Any] = getattr(home, name)
    return function


def check(catalogue: str, call: Call) -> dict[str, Any]:
    """The arguments of a call, checked against the function's signature and converted to its types.

    Args:
        catalogue: where the name is looked up.
        call: what the recipe says.

    Raises:
        RecipeError: unknown name or argument, missing argument, or a value of another type.
    """
    try:
        function = resolve(catalogue, call.name)
    except (LookupError, ImportError, AttributeError) as error:
        raise call.fail(str(error.args[0] if error.args else error)) from error
    return bind(function, call, GIVEN.get(catalogue, ()))


def bind(function: Callable[..., Any], call: Call, given: Iterable[str] = ()) -> dict[str, Any]:
    """`check` for a function in hand; `given` are arguments that a recipe may not write."""
    from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

    given = set(given)
    parameters = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [
        name
        for name, p in parameters.items()
        if name not in given and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    try:
        hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, TypeError):
        hints = {}
    bound = {}
    for name, value in call.args.items():
        if name == FIRST:
            if not known:
                raise call.fail(f"{call.name} takes no argument, but {value!r} is given.")
            name = known[0]
        if name not in known and not (open_ended and name not in given):
            raise call.fail(
                f"{call.name} takes no argument {name!r}{nearest(name, known)} "
                f"It takes: {', '.join(known) or 'none'}."
            )
        bound[name] = value
        if name not in hints or name not in known:
            continue
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(
                hints[name], config=ConfigDict(arbitrary_types_allowed=True, extra="forbid")
            )
        except PydanticSchemaGenerationError:
            continue
        except Exception:  # a dataclass or model brings its own configuration and refuses ours
            adapter = TypeAdapter(hints[name])
        try:
            bound[name] = adapter.validate_python(value)
        except ValidationError as error:
            raise call.fail(
                f"{call.name}: {name} is {value!r}; expected {_words(hints[name])} "
                f"({error.errors()[0]['msg'].lower()})."
            ) from error
    missing = [
        n for n in known if parameters[n].default is inspect.Parameter.empty and n not in bound
    ]
    if missing:
        raise call.fail(f"{call.name} needs the argument {missing[0]!r}, which is not given.")
    return bound


def build(catalogue: str, call: Call, **given: Any) -> Any:
    """Call the function a recipe names, with the arguments written there and those the program gives.

    What the program gives is handed over only where the function asks for it by name.

    Raises:
        RecipeError: as `check`; and a ValueError of the function itself, with the place it was written.
    """
    args = check(catalogue, call)
    function = resolve(catalogue, call.name)
    asked = inspect.signature(function).parameters
    try:
        return function(**{k: v for k, v in given.items() if k in asked}, **args)
    except RecipeError:
        raise
    except ValueError as error:
        raise call.fail(str(error)) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?' if something of the kind is near, else a full stop."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else "."


def _foreign(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a user's own file in the folder at hand needs no installation
        sys.path.insert(0, here)
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise LookupError(
            f"{name!r}: no module {error.name!r} can be imported from here or the Python path."
        ) from error
    except AttributeError:
        raise LookupError(f"{name!r}: the module {module!r} has no {attribute!r}.") from None
    return found


def _words(hint: Any) -> str:
    text = getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint)
    for long in ("typing.", "collections.abc.", "pathlib."):
        text = text.replace(long, "")
    if text.startswith("Literal["):
        text = "one of " + text[len("Literal[") : -1]
    return text.replace("NoneType", "nothing")
