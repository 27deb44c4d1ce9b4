"""The card of a bundle: read, and held against the other files that it was written for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from delineate.files import sha256, whole_file
from delineate.progress import warn
from delineate.resolve import shown

ENGINES = {"weights.safetensors": "torch"}
"""The engine each kind of weights runs on."""


FORMAT = 2
"""The number of this form of a bundle; 1 had no hashes of its parts, and is still read."""


READABLE = ("recipe.yaml", "labels.json")
"""The parts of every bundle besides its weights and its card."""


PART = re.compile(r"(parts/\w[\w.-]*)/card\.json")
"""The card of a bundle that a bundle holds, as its own card names it."""


def read_card(folder: Path) -> Mapping[str, Any]:
    """The card, held against the parts that it was written for."""
    path = folder / "card.json"
    card = settled(folder, read_json(path))
    if not isinstance(card, dict) or not all(
        type(card.get(key)) is int and card[key] > 0 for key in ("channels", "ndim")
    ):
        raise ValueError(f"{path}: does not say channels and ndim. Train or copy it again.")
    written = card.get("format")
    if type(written) is not int or not 1 <= written <= FORMAT:
        raise ValueError(
            f"{path}: the format of this bundle is {written!r}; this Delineate reads 1 to {FORMAT}."
            + (" A newer Delineate wrote it: update yours." if type(written) is int else "")
        )
    _check_calibration(path, card)
    _warn_of_strangers(folder, card)
    if written == 1:
        _warn_of_format_1(folder)
    elif changed := _changed(folder, card):
        name, now = next(iter(changed.items()))
        if now is None:
            raise ValueError(f"{folder / name}: is missing. Copy the whole bundle again.")
        raise ValueError(
            f"{folder / name}: is not the file that card.json was written for. Copy the whole bundle again; or, if you "
            f"changed it on purpose, write its new SHA-256 under `parts` in card.json: {now}"
        )
    return card


def _check_calibration(path: Path, card: Mapping[str, Any]) -> None:
    """Refuse a temperature or thresholds that are no numbers: below a threshold of NaN no case would be reviewed."""
    known = card.get("calibration", {})
    review = known.get("review", {}) if isinstance(known, dict) else None
    thresholds = review.get("thresholds", {}) if isinstance(review, dict) else None
    if not isinstance(thresholds, dict):
        raise ValueError(
            f"{path}: calibration is {shown(known)}; expected what `delineate calibrate` writes. Calibrate again, or "
            "copy the bundle again."
        )
    numbers = {f"review.thresholds.{label}": value for label, value in thresholds.items()}
    for name, value in ({"temperature": known.get("temperature", 1.0)} | numbers).items():
        number = isinstance(value, int | float) and not math.isnan(value)
        if not number or (name == "temperature" and not 0 < value < math.inf):
            raise ValueError(
                f"{path}: calibration.{name} is {shown(value)}; expected a "
                f"{'positive ' if name == 'temperature' else ''}number. Copy the bundle again."
            )


def _warn_of_strangers(folder: Path, card: Mapping[str, Any]) -> None:
    """Name what lies in the folder and is no part of the bundle.

    It is a warning: nothing reads such a file, so it changes no result, and people put a README or a licence there.
    """
    parts = card.get("parts")
    known = {"card.json", *READABLE, *ENGINES}
    known |= {str(name).split("/")[0] for name in parts} if isinstance(parts, dict) else set()
    names = sorted(path.name for path in folder.iterdir())
    if strange := tuple(n for n in names if n not in known and not n.startswith(".")):
        _tell_of_strangers(folder, strange)


@cache
def _tell_of_strangers(folder: Path, names: tuple[str, ...]) -> None:
    """Once for each bundle."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    warn(
        f"{folder}: {', '.join(names[:3])}{more} is no part of the bundle and is not read. Keep notes and other files "
        "outside the folder."
    )


@cache
def _warn_of_format_1(folder: Path) -> None:
    """Once for each bundle."""
    warn(
        f"{folder}: this bundle has format 1, which has no hashes: whether its recipe and weights are still those that "
        "were trained cannot be checked. Train again for one that can."
    )


def settled(folder: Path, card: Any) -> Any:
    """The card that fits the weights, where a kill while they were written left the old and the next one."""
    if not isinstance(card, dict) or not isinstance(card.get("next"), dict):
        return card
    old = {key: value for key, value in card.items() if key != "next"}
    return old if _changed(folder, card["next"]) else card["next"]


def _changed(folder: Path, card: Mapping[str, Any]) -> dict[str, str | None]:
    """The parts that are not those which the card was written for, and the hashes that they have; None if not there."""
    known = hashes_of(card)
    weights = [name for name in ENGINES if name in known or (folder / name).is_file()]
    hashes = {
        name: sha256(folder / name) if (folder / name).is_file() else None
        for name in (*READABLE, *weights, *filter(PART.fullmatch, known))
    }
    return {name: now for name, now in hashes.items() if now is None or known.get(name) != now}


def hashes_of(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the card says of the other parts, by name."""
    known = card.get("parts")
    return known if isinstance(known, dict) else {}


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it is not valid JSON; with the path.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8 is one too
        raise ValueError(f"{path}: not valid JSON ({error}).") from error
    except RecursionError as error:
        raise ValueError(f"{path}: not valid JSON (nested too deeply).") from error


def write_json(content: Any, path: Path) -> None:
    """Write a JSON file, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )
