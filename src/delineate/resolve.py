"""A name in a recipe -> the function of that name in a folder.

The tree is the catalogue: `dice` among the losses is the function `dice` in `losses/dice.py`, and
`my_lab.losses:boundary` is yours. Nothing is registered; a file whose name begins with `_` is no entry.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.machinery
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
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
    "data": {"labels", "folder", "started", "seed", "trust_shape"},
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


class UntrustedError(RecipeError):
    """A bundle, a run or a file of labels names code that the user did not trust; nothing was imported."""


@dataclass(frozen=True)
class Trust:
    """Which modules a name written `package.module:function` may import.

    modules: these modules and all modules inside them.
    own: every module, and those of the current folder first. The user wrote the name himself: in a recipe
        that he trains or checks, or on the command line.
    """

    modules: tuple[str, ...] = ()
    own: bool = False

    @classmethod
    def of(cls, words: Trust | Iterable[str]) -> Trust:
        """The trust that `--trust` and the argument `trust` of a verb give.

        Raises:
            ValueError: a word that is not the name of a module.
        """
        if isinstance(words, Trust):
            return words
        if isinstance(words, str):
            raise ValueError(f"trust is {words!r}; expected a sequence of modules: ({words!r},).")
        words = tuple(words)
        for word in words:
            if not _is_module(word):
                raise ValueError(
                    f"--trust {word}: expected the name of a module, like my_lab.losses."
                )
        return cls(words)

    def covers(self, module: str) -> bool:
        """Whether the module may be imported."""
        return self.own or any(f"{module}.".startswith(f"{m}.") for m in self.modules)


NOBODY = Trust()
"""What is read from a bundle, a run or a file of labels is data: it imports nothing."""
OWN = Trust(own=True)
"""What the user wrote himself."""


@dataclass(frozen=True)
class Call:
    """A function named in a recipe, the arguments written there, and the place they were written.

    trust: whose code the name may import; nobody's, unless whoever makes the call says so.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    trust: Trust = field(default=NOBODY, compare=False)

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


def resolve(catalogue: str, name: str | Call) -> Callable[..., Any]:
    """The function a name stands for; `package.module:function` names one from anywhere, if the call is trusted.

    Every name of a recipe passes here, and this is the only place that imports code by a name somebody wrote.

    Args:
        catalogue: where the name is looked up.
        name: a call, or a name of the house alone, which is trusted with nothing.

    Raises:
        LookupError: no such name; the message gives the nearest one.
        UntrustedError: the name is that of code whose module the call is not trusted with.
    """
    call = Call(name) if isinstance(name, str) else name
    name = call.name
    if ":" in name:
        return _foreign(call)
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
        function = resolve(catalogue, call)
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
    function = resolve(catalogue, call)
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


def _foreign(call: Call) -> Callable[..., Any]:
    """The function of somebody's own module."""
    module, _, attribute = call.name.partition(":")
    if not _is_module(module) or not attribute.isidentifier():
        raise LookupError(f"{call.name!r}: expected package.module:function.")
    if not call.trust.covers(module):
        raise _refusal(call, module)
    try:
        found: Callable[..., Any] = getattr(_import(module, call.trust), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise LookupError(
            f"{call.name!r}: no module {error.name!r} can be imported from here or the Python path."
        ) from error
    except AttributeError:
        raise LookupError(f"{call.name!r}: the module {module!r} has no {attribute!r}.") from None
    # A module is trusted with what it defines, not with all that it imports for its own use: os.system is not its own.
    if inspect.isroutine(found) or inspect.isclass(found):
        home = getattr(found, "__module__", None) or "builtins"
        if not call.trust.covers(home):
            raise _refusal(call, home)
    return found


def _refusal(call: Call, module: str) -> UntrustedError:
    """What is refused, where it is written, and the word that would allow it."""
    refused = call.fail(
        f"{call.name!r} is code of the module {module}, and a bundle, a run or a file of labels runs no code that you "
        f"do not trust. If you know and trust it, add --trust {module} (in Python trust=({module!r},))."
    )
    return UntrustedError(*refused.args)


def _import(module: str, trust: Trust) -> ModuleType:
    """Import a module that is trusted.

    A name that the user wrote himself is looked for in the current folder first. One that only a bundle names is
    imported from where modules are installed; the current folder, which may be full of downloads, comes last.
    """
    here = str(Path.cwd())
    if trust.own:
        if here not in sys.path:  # a user's own file in the folder at hand needs no installation
            sys.path.insert(0, here)
        return importlib.import_module(module)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if (
            error.name != top
            or here in sys.path
            or importlib.machinery.PathFinder.find_spec(top, [here]) is None
        ):
            raise
    sys.path.append(here)
    return importlib.import_module(module)


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _words(hint: Any) -> str:
    text = getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint)
    for long in ("typing.", "collections.abc.", "pathlib."):
        text = text.replace(long, "")
    if text.startswith("Literal["):
        text = "one of " + text[len("Literal[") : -1]
    return text.replace("NoneType", "nothing")
