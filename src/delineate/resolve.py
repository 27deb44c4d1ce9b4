"""Resolve a name in a recipe to the function of that name in a folder.

The loss `dice` is the function `dice` in `losses/dice.py`. `my_lab.losses:boundary` is a function of your own.
There is no registry: every file of a folder is an entry, except those whose name begins with `_`.
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
"""Catalogue -> its module: a package with one function per file, or one module of small functions.

A recipe names entries of all catalogues but two: the format of a file is detected from its bytes, and all checks of
the audit run.
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
    "predict": {"network", "predictor", "load", "labels"},
    "metrics": {"prediction", "truth"},
    "refine": {"load"},
}
"""Arguments that the program passes itself; a recipe may not set them."""

STARTS = ("pretrained", "weights")
"""Arguments of a model that name the weights it starts from; left out where its weights are loaded later."""


RENAMED = {("metrics", "dice_swept"): "dice_sweep_mean"}
"""Catalogue and former name of an entry -> its name."""


FIRST = ""
"""Key in `Call.args` for the first argument where the recipe does not name it: `{standardize: imagenet}`."""


class RecipeError(ValueError):
    """An error in a recipe. The message is one line: where the error is, and what to write instead."""

    def __init__(self, message: str) -> None:
        line = " ".join(str(message).split())
        super().__init__(line if len(line) <= 2000 else f"{line[:1500]} ... {line[-400:]}")


class UntrustedError(RecipeError):
    """A bundle, a run or a label file names code that the user does not trust. Nothing was imported."""


@dataclass(frozen=True)
class Trust:
    """Which modules a name written `package.module:function` may import.

    modules: these modules and their submodules.
    own: every module; the current folder is searched first. Set for names that the user wrote: in a recipe to train
        or check, or on the command line.
    """

    modules: tuple[str, ...] = ()
    own: bool = False

    @classmethod
    def of(cls, words: Trust | Iterable[str]) -> Trust:
        """The trust from `--trust` on the command line, or from the argument `trust` in Python.

        Raises:
            ValueError: an entry is not the name of a module.
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
"""For a bundle, a run or a label file: it is data, and may import nothing."""
OWN = Trust(own=True)
"""For names that the user wrote."""


@dataclass(frozen=True)
class Call:
    """A function named in a recipe, its arguments, and the place in the recipe.

    where: the place, "file:line" or "--set ...".
    places: the place of each argument, if it differs from `where`.
    labels: the names of the recipe's labels, without those of kind ignore; None where they are unknown.
    trust: which modules the name may import; none by default.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    labels: Collection[str] | None = None
    trust: Trust = field(default=NOBODY, compare=False)

    def fail(self, message: str, argument: str | None = None) -> RecipeError:
        """An error whose message begins with the place of this call, or of one of its arguments.

        Without `argument`, the place is that of the last argument set on the command line, if there is one.
        """
        where = self.where
        if argument is not None:
            where = self.places.get(argument, where)
        elif set_there := [place for place in self.places.values() if place.startswith("--set")]:
            where = set_there[-1]
        return RecipeError(f"{where}: {message}" if where else message)

    def without(self, *arguments: str) -> Call:
        """The call without some of its arguments."""
        return replace(self, args={k: v for k, v in self.args.items() if k not in arguments})


def names(catalogue: str) -> list[str]:
    """All names of a catalogue, sorted. The modules of the entries are not imported.

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


def renamed(catalogue: str, call: Call) -> Call:
    """The call by the present name of its entry, for files that were written when it had another."""
    return replace(call, name=RENAMED.get((catalogue, call.name), call.name))


def resolve(catalogue: str, name: str | Call) -> Callable[..., Any]:
    """The function of a name. `package.module:function` is imported from any module that the call's trust covers.

    All names of a recipe are resolved here. No other place imports code by a name from a file or the command line.

    Args:
        catalogue: the catalogue of the name.
        name: a call, or the name of an entry. A plain name has no trust.

    Raises:
        LookupError: no such name; the message gives the nearest one.
        UntrustedError: the call's trust does not cover the module of the name.
    """
    call = Call(name) if isinstance(name, str) else name
    name = call.name
    if ":" in name:
        return _foreign(call)
    if new := RENAMED.get((catalogue, name)):
        raise LookupError(f"there is no {name!r} in {catalogue} any more; it is called {new!r}.")
    if name not in names(catalogue):
        known = names(catalogue)
        raise LookupError(
            f"no {name!r} in {catalogue}{nearest(name, known)} There are: {', '.join(known)}. "
            f"Write one of your own as package.module:function."
        )
    home = importlib.import_module(CATALOGUES[catalogue])
    if hasattr(home, "__path__"):
        home = importlib.import_module(f"{CATALOGUES[catalogue]}.{name}")
    function: Callable[..., Any] = getattr(home, name)
    return function


def check(catalogue: str, call: Call) -> dict[str, Any]:
    """The arguments of a call, checked against the function's signature and converted to its types.

    Args:
        catalogue: the catalogue of the name.
        call: the call from the recipe.

    Raises:
        RecipeError: unknown name or argument, missing argument, or a value of another type or out of its range.
    """
    return bind(_function(catalogue, call), call, GIVEN.get(catalogue, ()))


def bind(function: Callable[..., Any], call: Call, given: Iterable[str] = ()) -> dict[str, Any]:
    """As `check`, for a function that is already resolved; `given` are arguments that a recipe may not set."""
    given = set(given)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise call.fail(
            f"{call.name} has no signature that can be read; expected a Python function."
        ) from error
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
    """The annotated types of a function's arguments; an argument whose type cannot be read is left out.

    The type of an argument that the program passes may be imported for type checkers only, and cannot be read.
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
    """Call the function that a recipe names, with the arguments of the recipe and those in `given`.

    An entry of `given` is passed only if the function has an argument of that name.

    Raises:
        RecipeError: as `check`; also for any error of the function itself, with its place in the recipe.
    """
    args = check(catalogue, call)
    function = resolve(catalogue, call)
    asked = inspect.signature(function).parameters
    with telling(call):
        return function(**{k: v for k, v in given.items() if k in asked}, **args)


@contextmanager
def telling(call: Call) -> Iterator[None]:
    """Turn any error inside the block into a `RecipeError` that names the place of the call in the recipe.

    Raises:
        RecipeError: instead of any other error.
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
    except Exception as error:  # a user's own function may raise any exception
        raise call.fail(f"{call.name} failed with {type(error).__name__}: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?' if a known name is similar, else a full stop."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else "."


def _foreign(call: Call) -> Callable[..., Any]:
    """The function `package.module:function` of a user's module."""
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
    # Trust covers what the module defines, not what it imports: os.system in its namespace stays refused.
    if inspect.isroutine(found) or inspect.isclass(found):
        home = getattr(found, "__module__", None) or "builtins"
        if not call.trust.covers(home):
            raise _refusal(call, home)
    return found


def _refusal(call: Call, module: str) -> UntrustedError:
    """The error for untrusted code: its name, its place, and the option that would allow it."""
    refused = call.fail(
        f"{call.name!r} is code of the module {module}, and a bundle, a run or a label file runs only code that you "
        f"trust. If you know and trust it, add --trust {module} (in Python trust=({module!r},))."
    )
    return UntrustedError(*refused.args)


def _import(module: str, trust: Trust) -> ModuleType:
    """Import a trusted module.

    If the user wrote the name, the current folder is searched first. If only a bundle names it, the installed modules
    are searched first and the current folder last, because it may be full of downloads.
    """
    here = str(Path.cwd())
    if trust.own:
        if here not in sys.path:  # a user's file in the current folder needs no installation
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
    """The function of a call; every error names its place in the recipe."""
    if ":" in call.name and not re.fullmatch(r"\w+(\.\w+)*:\w+", call.name):
        raise call.fail(
            f"{shown(call.name)} is not the name of a function; write one of your own as package.module:function."
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
        raise call.fail(f"{call.name} is {shown(function)}; expected a function.")
    return function


def _converted(hint: Any, value: Any, name: str, written: str, call: Call) -> Any:
    """The value, validated against its type and converted to it."""
    from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(
            hint,
            config=ConfigDict(arbitrary_types_allowed=True, extra="forbid", allow_inf_nan=False),
        )
    except PydanticSchemaGenerationError:
        return value
    except Exception:  # a dataclass or pydantic model has its own configuration and refuses ours
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
    """Whether a number exceeds the general limit `MOST`, which the description of the type does not mention."""
    return any(abs((e.get("ctx") or {}).get("le", 0)) == MOST for e in errors)


_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlevel = 4


def shown(value: Any) -> str:
    """A value for a message, shortened if it is long."""
    try:
        return _short.repr(value)
    except ValueError:  # a number of more digits than Python prints
        return "a number of thousands of digits"
