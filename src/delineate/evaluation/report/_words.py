"""Names and numbers as they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from inspect import signature

from delineate.metrics import Traits, traits_by_name
from delineate.resolve import names, resolve


def title(metric: str, known: Traits | None = None, unit: str = "") -> str:
    """A metric's name as it is read, with the arguments it carries.

    known: what is known of it; by its name if left out. One without a title has its name, somebody's own as written.
    unit: what lengths are measured in, where that is known.

    >>> title("pixel_accuracy"), title("iou"), title("f_beta"), title("f_beta(beta=0.5)")
    ('Pixel accuracy', 'IoU', 'F2', 'F0.5')
    >>> title("nsd"), title("nsd(tolerance=1.0)", unit="mm"), title("ece(bins=10)"), title("my_lab:dice")
    ('NSD at 2', 'NSD at 1 mm', 'ECE (bins 10)', 'my_lab:dice')
    """
    known = traits_by_name(metric) if known is None else known
    name, told = metric.partition("(")[0], arguments(metric, known)
    words = name.replace("_", " ")
    words = known.title or (name if ":" in name else words[:1].upper() + words[1:])
    if known.title:
        words = words.format(**told, unit=unit).strip()
    rest = [f"{k.replace('_', ' ')} {v}" for k, v in told.items() if k not in known.arguments]
    return f"{words} ({', '.join(rest)})" if rest else words


def arguments(metric: str, known: Traits) -> dict[str, str]:
    """The arguments that a metric's name carries, and those that its title names, as they are read.

    >>> nsd = traits_by_name("nsd")
    >>> arguments("nsd", nsd), arguments("nsd(tolerance=1.5)", nsd), arguments("dice", traits_by_name("dice"))
    ({'tolerance': '2'}, {'tolerance': '1.5'}, {})
    """
    name, _, rest = metric.partition("(")
    pairs = [pair.partition("=") for pair in rest.removesuffix(")").split(", ") if pair]
    given = {key: re.sub(r"[.]0$", "", value) for key, _, value in pairs}
    for key in known.arguments:
        if key not in given:
            given[key] = _default(name, key)
    return given


@cache
def _default(metric: str, argument: str) -> str:
    """The default of an argument as it is read; "default" of somebody's own metric, which is not imported for that."""
    if metric not in names("metrics"):
        return "default"
    default = signature(resolve("metrics", metric)).parameters[argument].default
    return f"{default:g}" if isinstance(default, int | float) else str(default)


def in_order(values: Iterable[str]) -> list[str]:
    """Kinds of case as they are read: numbers by size, then the others as they come.

    >>> in_order(["1", "10", "2", "n/a"]), in_order(["small", "medium"])
    (['1', '2', '10', 'n/a'], ['small', 'medium'])
    """
    return sorted(values, key=_size)


def _size(value: str) -> float:
    try:
        size = float(value)
    except ValueError:
        return math.inf
    return size if math.isfinite(size) else math.inf


def number(value: float | None, decimals: int = 3) -> str:
    """A score as it is printed; a dash where the question does not arise.

    >>> number(0.84612), number(-23.46, 1), number(-0.0001), number(None)
    ('0.846', '−23.5', '0.000', '–')
    """
    if value is None or value != value:
        return "–"
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")  # and no minus before 0


def decimals(values: Iterable[float | None]) -> int:
    """How many digits after the point say enough of numbers that stand side by side.

    >>> decimals([0.846, None]), decimals([12.3, 4.5]), decimals([250.1])
    (3, 1, 0)
    """
    largest = max((abs(v) for v in values if v is not None and v == v), default=0)
    return 3 if largest < 10 else 1 if largest < 100 else 0


def whole(label: str) -> str:
    """A label's name as it is read; "all" stands for the image as a whole."""
    return "whole image" if label == "all" else label


def unbroken(words: str) -> str:
    """A sentence that is not broken between a number and what it counts in."""
    return re.sub(r"(?<=\d) (?=%|mm\b|px\b)", "\N{NO-BREAK SPACE}", words)


def left_out(count: int) -> str:
    """That kinds of one case each are not drawn; "" where there are none.

    >>> left_out(1), left_out(0)
    ('1 value with one case is not shown', '')
    """
    if count == 1:
        return "1 value with one case is not shown"
    return f"{count:,} values with one case each are not shown" if count else ""


def one_line(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts that fit a list."""
    return {name: text for name, text in facts.items() if "\n" not in text.strip()}


def several_lines(facts: Mapping[str, str]) -> dict[str, str]:
    """Facts that are set as written."""
    return {name: text.strip("\n") for name, text in facts.items() if "\n" in text.strip()}
