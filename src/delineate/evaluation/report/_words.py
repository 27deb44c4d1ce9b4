"""Names and numbers as they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from inspect import signature

from delineate.resolve import resolve

NAMES = {
    "assd": "ASSD", "auroc": "AUROC", "brier": "Brier score", "cldice": "clDice", "dice_at": "Dice at a threshold",
    "dice_soft": "Dice, soft", "dice_swept": "Dice, swept over thresholds", "ece": "ECE",
    "ece_top": "ECE of the top class", "hausdorff": "Hausdorff distance", "hd95": "HD95",
    "hd95_pooled": "HD95, surfaces pooled", "hd95_surfel": "HD95, surfel-weighted", "iou": "IoU",
    "expected_dice": "Expected Dice", "lesion_f1": "Lesion F1", "mask_ap": "Mask AP", "nsd": "NSD",
    "nsd_voxel": "Voxel NSD", "pq": "PQ", "rq": "RQ", "sq": "SQ",
}  # fmt: skip
"""Names that are not read as they are written; any other metric is read as its file is called."""


CARRIED = {"nsd": "tolerance", "nsd_voxel": "tolerance", "f_beta": "beta"}
"""Arguments without which a score says nothing: they are told also where they are the default."""


def title(metric: str, unit: str = "") -> str:
    """A metric's name as it is read, with the arguments it carries.

    unit: what lengths are measured in, where that is known.

    >>> title("pixel_accuracy"), title("iou"), title("f_beta"), title("f_beta(beta=0.5)")
    ('Pixel accuracy', 'IoU', 'F2', 'F0.5')
    >>> title("nsd"), title("nsd(tolerance=1.0)"), title("nsd(tolerance=1.0)", "mm")
    ('NSD (tolerance 2)', 'NSD (tolerance 1)', 'NSD at 1 mm')
    """
    name, told = metric.partition("(")[0], arguments(metric)
    if name == "f_beta":
        return f"F{told['beta']}"
    words = name.replace("_", " ")
    words = NAMES.get(name, words[:1].upper() + words[1:])
    if unit and list(told) == ["tolerance"]:
        return f"{words} at {told['tolerance']} {unit}"
    listed = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in told.items())
    return f"{words} ({listed})" if listed else words


def arguments(metric: str) -> dict[str, str]:
    """The arguments that a metric's name carries, and those of `CARRIED`, as they are read.

    >>> arguments("nsd"), arguments("nsd(tolerance=1.5)"), arguments("dice")
    ({'tolerance': '2'}, {'tolerance': '1.5'}, {})
    """
    name, _, rest = metric.partition("(")
    pairs = [pair.partition("=") for pair in rest.removesuffix(")").split(", ") if pair]
    given = {key: re.sub(r"[.]0$", "", value) for key, _, value in pairs}
    if (key := CARRIED.get(name)) and key not in given:
        given[key] = _default(name, key)
    return given


@cache
def _default(metric: str, argument: str) -> str:
    return f"{signature(resolve('metrics', metric)).parameters[argument].default:g}"


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


def counted(count: int, one: str) -> str:
    """How many of something, in the singular or the plural.

    >>> counted(1, "case"), counted(1400, "case")
    ('1 case', '1,400 cases')
    """
    return f"{count:,} {one}" + ("" if count == 1 else "s")


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
