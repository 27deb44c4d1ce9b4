"""Names and numbers as they are read."""

from __future__ import annotations

import re
from collections.abc import Iterable

NAMES = {
    "assd": "ASSD", "auroc": "AUROC", "brier": "Brier score", "cldice": "clDice", "dice_at": "Dice at a threshold",
    "dice_soft": "Dice, soft", "dice_swept": "Dice, swept over thresholds", "ece": "ECE",
    "ece_top": "ECE of the top class", "f_beta": "F-beta", "hausdorff": "Hausdorff distance", "hd95": "HD95",
    "hd95_pooled": "HD95, surfaces pooled", "hd95_surfel": "HD95, surfel-weighted", "iou": "IoU",
    "expected_dice": "Expected Dice", "lesion_f1": "Lesion F1", "mask_ap": "Mask AP", "nsd": "NSD",
    "nsd_voxel": "NSD, voxels counted", "pq": "PQ", "rq": "RQ", "sq": "SQ",
}  # fmt: skip
"""Names that are not read as they are written; any other metric is read as its file is called."""


def title(name: str) -> str:
    """A metric's name as it is read, with the arguments it carries.

    >>> title("pixel_accuracy"), title("iou"), title("nsd(tolerance=1.0)"), title("f_beta(beta=2.0)")
    ('Pixel accuracy', 'IoU', 'NSD (tolerance 1)', 'F2')
    """
    name, _, rest = name.partition("(")
    pairs = [pair.partition("=") for pair in rest.removesuffix(")").split(", ") if pair]
    told = ", ".join(
        f"{key.replace('_', ' ')} {re.sub(r'[.]0$', '', value)}" for key, _, value in pairs
    )
    if name == "f_beta" and told:
        return told.replace("beta ", "F")
    words = name.replace("_", " ")
    words = NAMES.get(name, words[:1].upper() + words[1:])
    return f"{words} ({told})" if told else words


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
