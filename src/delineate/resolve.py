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
import re
import reprlib
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints

from delineate.arguments import MOST, in_words

CATALOGUES = {
    "data": "delineate.data",
    "audit": "delineate.audit",
    "formats": "delineate.files",
    "prepare": "delineate.prepare",
    "augment": "delineate.prepare.augment",
    "models": "delineate.models",
    "losses": "delineate.losses",
    "deep_supervision": "delineate.losses._deep_supervision",
    "optimizers": "delineate.training.optimizers",
    "schedules": "delineate.training.schedules",
    "loggers": "delineate.training.loggers",
    "tasks": "delineate.tasks",
    "predict": "delineate.inference.wrappers",
    "metrics": "delineate.metrics",
    "refine": "delineate.refine",
}
"""Each kind of thing that has a name, and where it lives: a folder, or one file of small functions.

A recipe names them all but formats, which are known by the bytes of a file, and checks of the audit, which all run.
"""

GIVEN = {
    "audit": {"cases", "labels"},
    "data": {"labels", "folder", "started", "seed", "trust_shape"},
    "augment": {"labels"},
    "models": {"channels", "classes", "image_classes", "object_classes", "ndim"},
    "losses": {"output", "target"},
    "deep_supervision": {"output"},
    "optimizers": {"params"},
    "schedules": {"progress"},
    "loggers": {"run"},
    "tasks": {"labels"},
    "predict": {"network", "predictor", "load"},
    "metrics": {"prediction", "truth"},
}
"""Arguments that the program itself gives, and a recipe may not."""


FIRST = ""
"""Stands for a function's first argument where a recipe gives it without a name: `{standardize: imagenet}`."""


class RecipeError(ValueError):
    """A recipe that cannot be run as it is written; the message says where, and what to write instead, in one line."""

    def __init__(self, message: str) -> None:
        line = " ".join(str(message).split())
        super().__init__(line if len(line) <= 2000 else f"{line[:1500]} ... {line[-400:]}")


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

    places: where each argument was written, if elsewhere.
    labels: the names of the recipe's labels, other than those to be ignored; None where they are not known.
    trust: whose code the name may import; nobody's, unless whoever makes the call says so.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    labels: Collection[str] | None = None
    trust: Trust = field(default=NOBODY, compare=False)

    def fail(self, message: str, argument: str | None = None) -> RecipeError:
        """An error that begins with the place this call, or one of its arguments, was written.

        Where no argument is named and some were set on the command line, it is the last of those.
        """
        where = self.where
        if argument is not None:
            where = self.places.get(argument, where)
        elif set_there := [place for place in self.places.values() if place.startswith("--set")]:
            where = set_there[-1]
        return RecipeError(f"{where}: {message}" if where else message)

    def without(self, argument: str) -> Call:
        """The call without one of its arguments."""
        return replace(self, args={k: v for k, v in self.args.items() if k != argument})


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
        RecipeError: unknown name or argument, missing argument, or a value of another type or out of its range.
    """
    return bind(_function(catalogue, call), call, GIVEN.get(catalogue, ()))


def bind(function: Callable[..., Any], call: Call, given: Iterable[str] = ()) -> dict[str, Any]:
    """`check` for a function in hand; `given` are arguments that a recipe may not write."""
    given = set(given)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise call.fail(f"{call.name} is no function whose arguments can be read.") from error
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [
        name
        for name, p in parameters.items()
        if name not in given and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    hints = hints_of(function)
    bound: dict[str, Any] = {}
    for written, value in call.args.items():
        name = written
        if name == FIRST:
            if not known:
                raise call.fail(
                    f"{call.name} takes no argument, but {shown(value)} is given.", written
                )
            name = known[0]
        if name not in known and not (open_ended and isinstance(name, str) and name not in given):
            raise call.fail(
                f"{call.name} takes no argument {shown(name)}{nearest(str(name), known)} "
                f"It takes: {', '.join(known) or 'none'}.",
                written,
            )
        if name in bound:
            raise call.fail(f"{call.name}: {name} is given twice.", written)
        fits = name in hints and name in known
        bound[name] = _converted(hints[name], value, name, written, call) if fits else value
    missing = [
        n for n in known if parameters[n].default is inspect.Parameter.empty and n not in bound
    ]
    if missing:
        raise call.fail(f"{call.name} needs the argument {missing[0]!r}, which is not given.")
    return bound


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The types that a signature says, with their limits; of an argument whose type cannot be read, none.

    What a function is given by the program may be named by types that it imports for type checkers alone.
    """
    described = function.__init__ if inspect.isclass(function) else function
    try:
        return get_type_hints(described, include_extras=True)
    except (NameError, TypeError):
        pass
    hints: dict[str, Any] = {}
    for name, annotation in getattr(described, "__annotations__", {}).items():
        alone = SimpleNamespace(__annotations__={name: annotation})
        with suppress(NameError, TypeError):
            hints |= get_type_hints(
                alone, getattr(described, "__globals__", {}), include_extras=True
            )
    return hints


def build(catalogue: str, call: Call, **given: Any) -> Any:
    """Call the function a recipe names, with the arguments written there and those the program gives.

    What the program gives is handed over only where the function asks for it by name.

    Raises:
        RecipeError: as `check`; and any error of the function itself, with the place it was written.
    """
    args = check(catalogue, call)
    function = resolve(catalogue, call)
    asked = inspect.signature(function).parameters
    with telling(call):
        return function(**{k: v for k, v in given.items() if k in asked}, **args)


@contextmanager
def telling(call: Call) -> Iterator[None]:
    """Give errors of what a recipe names the place where it is named.

    Raises:
        RecipeError: in place of any other error.
    """
    try:
        yield
    except RecipeError:
        raise
    except ValueError as error:
        raise call.fail(str(error)) from error
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        raise call.fail(f"{call.name}: {named}{error.strerror or error}.") from error
    except Exception as error:  # of somebody's own code: what it raises is not ours to choose
        raise call.fail(f"{call.name} failed with {type(error).__name__}: {error}") from error


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


def _function(catalogue: str, call: Call) -> Callable[..., Any]:
    """The function a call names; every way in which there is none has the place."""
    if ":" in call.name and not re.fullmatch(r"\w+(\.\w+)*:\w+", call.name):
        raise call.fail(
            f"{shown(call.name)} names no function; one of your own is written package.module:function."
        )
    try:
        function = resolve(catalogue, call)
    except (LookupError, ImportError, AttributeError) as error:
        raise call.fail(str(error.args[0] if error.args else error)) from error
    except RecipeError:
        raise
    except Exception as error:  # the module of a user may raise anything while it is imported
        raise call.fail(
            f"{call.name} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise call.fail(f"{call.name} is {shown(function)}, which is no function.")
    return function


def _converted(hint: Any, value: Any, name: str, written: str, call: Call) -> Any:
    """A value as its type has it."""
    from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(
            hint,
            config=ConfigDict(arbitrary_types_allowed=True, extra="forbid", allow_inf_nan=False),
        )
    except PydanticSchemaGenerationError:
        return value
    except Exception:  # a dataclass or model brings its own configuration and refuses ours
        adapter = TypeAdapter(hint)
    try:
        return adapter.validate_python(value, context={"labels": call.labels})
    except ValidationError as error:
        limit = f" (at most {MOST:g})" if _is_too_large(error.errors()) else ""
        raise call.fail(
            f"{call.name}: {name} is {shown(value)}; expected {in_words(hint, call.labels)}{limit}.",
            written,
        ) from error


def _is_too_large(errors: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a number is beyond those that can be computed with, which goes without saying elsewhere."""
    return any(abs((e.get("ctx") or {}).get("le", 0)) == MOST for e in errors)


_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlevel = 4


def shown(value: Any) -> str:
    """A value as it was written, cut where it is long."""
    try:
        return _short.repr(value)
    except ValueError:  # a number of more digits than Python prints
        return "a number of thousands of digits"
