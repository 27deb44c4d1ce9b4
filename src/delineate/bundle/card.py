"""Read and write the card of a bundle, and check the files of the bundle against its hashes."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from delineate.files import sha256, whole_file
from delineate.progress import warn
from delineate.resolve import shown

ENGINES = {"weights.safetensors": "torch", "weights.onnx": "onnx", "weights.xml": "openvino"}
"""The engine that runs each weights file, by the file's name."""

BESIDE = {"weights.xml": ("weights.bin",)}
"""Further files that belong to a weights file, by its name."""

WEIGHTS = (*ENGINES, *(name for names in BESIDE.values() for name in names))
"""The names of all files of weights."""


CARD = "card.json"


FORMAT = 2
"""The version of the bundle format. Version 1, which has no hashes, can still be read."""


READABLE = ("recipe.yaml", "labels.json")
"""The files of every bundle besides its weights and its card."""


PART = re.compile(r"(parts/\w[\w.-]*)/card\.json")
"""The path of a member's card, as the card of the bundle lists it."""


DEEPEST = 3
"""The largest depth of nested bundles."""


DIGESTS: Any = {str: [str]}
"""Digests of images or groups by split, or by what they were used for."""

ENTRIES: Any = {
    "audit": {"pixels": DIGESTS},
    "calibration": {"split": str},
    "data": {"group_digests": DIGESTS, "id_digests": DIGESTS},
    "edited": [{"made": str, "files": [str]}],
    "init_from": {
        **dict.fromkeys(("images", "groups", "ids"), (DIGESTS, None)),
        "overlap": {str: {str: int}},
        "stages": [{}],
    },
    "scores": {},
}
"""The form of entries that say what a model was made from, where the card has them: a type, [the form of each item],
{str: the form of each value}, {key: the form of its value, if it is there}, or a tuple of alternatives."""


def read_card(folder: Path, *, hashes: bool = True) -> Mapping[str, Any]:
    """Read the card, and check all files, itself included, against its hashes.

    Args:
        folder: the folder of the bundle.
        hashes: False reads the card of a bundle whose files were changed on purpose.

    Raises:
        ValueError: the card is damaged or of an unknown format, or a file is missing or was changed.
    """
    path = folder / CARD
    card = settled(folder, read_json(path))
    if not isinstance(card, dict) or not all(
        type(card.get(key)) is int and card[key] > 0 for key in ("channels", "ndim")
    ):
        raise ValueError(
            f"{path}: channels or ndim is missing or not a positive number. Copy the bundle again, or train again."
        )
    written = card.get("format")
    if type(written) is not int or not 1 <= written <= FORMAT:
        raise ValueError(
            f"{path}: the format of this bundle is {written!r}; this Delineate reads 1 to {FORMAT}."
            + (" A newer Delineate wrote it: update yours." if type(written) is int else "")
        )
    _check_calibration(path, card)
    if wrong := _misfit(card, ENTRIES):
        at, value, form = wrong
        raise ValueError(
            f"{path}: {at} is {shown(value)}; expected {_in_words(form)}. Copy the bundle again, or train again."
        )
    _warn_of_unknown_files(folder, card)
    if not hashes:
        return card
    if written == 1:
        _warn_once_of_format_1(folder)
    elif changed := changed_files(folder, card):
        name, now = next(iter(changed.items()))
        if now is None:
            raise ValueError(f"{folder / name}: the file is missing. Copy the whole bundle again.")
        raise ValueError(
            f"{folder / name}: the SHA-256 of the file differs from that in card.json. Copy the whole bundle again; "
            f"or, if you changed it on purpose, run: delineate rehash {folder}"
        )
    return card


def sealed(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card with a hash of itself among its hashes."""
    return {**card, "parts": {**hashes_of(card), CARD: _hash_of_card(card)}}


def _hash_of_card(card: Mapping[str, Any]) -> str:
    """The SHA-256 of what a card says, however it is laid out, without this hash; "" if it is nested too deeply."""
    parts = {name: known for name, known in hashes_of(card).items() if name != CARD}
    try:
        said = json.loads(json.dumps({**card, "parts": parts}))
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    except RecursionError:
        return ""


def _misfit(value: Any, form: Any, at: str = "") -> tuple[str, Any, Any] | None:
    """The first part of a value that has not its form: where it is, the part, and the form; None if all fit."""
    if isinstance(form, tuple):
        if any(_misfit(value, other) is None for other in form):
            return None
        return _misfit(value, form[0], at)
    inner: Iterable[tuple[str, Any, Any]] = ()
    if isinstance(form, list):
        fits = isinstance(value, list)
        inner = ((f"[{i}]", one, form[0]) for i, one in enumerate(value)) if fits else ()
    elif isinstance(form, dict):
        fits = isinstance(value, dict)
        forms = dict.fromkeys(value, form[str]) if fits and str in form else form
        inner = (
            (f".{key}", value[key], its) for key, its in forms.items() if fits and key in value
        )
    else:
        fits = value is None if form is None else type(value) is form
    if not fits:
        return at.removeprefix("."), value, form
    return next(filter(None, (_misfit(one, its, at + key) for key, one, its in inner)), None)


def _in_words(form: Any) -> str:
    if isinstance(form, dict):
        return "key: value"
    return "a list" if isinstance(form, list) else {str: "text", int: "a whole number"}[form]


def _check_calibration(path: Path, card: Mapping[str, Any]) -> None:
    """Refuse a temperature or thresholds that are not numbers: with a threshold of NaN no case would need review."""
    known = card.get("calibration", {})
    review = known.get("review", {}) if isinstance(known, dict) else None
    thresholds = review.get("thresholds", {}) if isinstance(review, dict) else None
    if not isinstance(thresholds, dict):
        raise ValueError(
            f"{path}: calibration is {shown(known)}; expected the result of `delineate calibrate`. Calibrate again, "
            "or copy the bundle again."
        )
    numbers = {f"review.thresholds.{label}": value for label, value in thresholds.items()}
    for name, value in ({"temperature": known.get("temperature", 1.0)} | numbers).items():
        number = isinstance(value, int | float) and not math.isnan(value)
        if not number or (name == "temperature" and not 0 < value < math.inf):
            raise ValueError(
                f"{path}: calibration.{name} is {shown(value)}; expected a "
                f"{'positive ' if name == 'temperature' else ''}number. Copy the bundle again."
            )


def _warn_of_unknown_files(folder: Path, card: Mapping[str, Any]) -> None:
    """Warn of files in the folder that are not part of the bundle.

    They are not refused: nothing reads such a file, so it changes no result, and people put a README or a licence
    there.
    """
    parts = card.get("parts")
    known = {CARD, *READABLE, *WEIGHTS}
    known |= {str(name).split("/")[0] for name in parts} if isinstance(parts, dict) else set()
    names = sorted(path.name for path in folder.iterdir())
    if unknown := tuple(n for n in names if n not in known and not n.startswith(".")):
        _warn_once_of_unknown_files(folder, unknown)


@cache
def _warn_once_of_unknown_files(folder: Path, names: tuple[str, ...]) -> None:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    warn(
        f"{folder}: not part of the bundle and not read: {', '.join(names[:3])}{more}. Keep notes and other files "
        "outside the folder."
    )


@cache
def _warn_once_of_format_1(folder: Path) -> None:
    warn(
        f"{folder}: this bundle has format 1, which has no hashes, so changes of its recipe and weights cannot be "
        f"detected. To add hashes of the files as they are now, run: delineate rehash {folder}"
    )


def settled(folder: Path, card: Any) -> Any:
    """The card that matches the weights. A process killed while saving leaves the old and the next card in one file."""
    if not isinstance(card, dict) or not isinstance(card.get("next"), dict):
        return card
    old = {key: value for key, value in card.items() if key != "next"}
    return old if changed_files(folder, card["next"]) else card["next"]


def changed_files(folder: Path, card: Mapping[str, Any]) -> dict[str, str | None]:
    """The files whose hash differs from the card's, with their present hashes; None for a missing file.

    A card without a hash of itself, as earlier versions wrote it, is taken as it is.
    """
    known = hashes_of(card)
    weights = [name for name in ENGINES if name in known or (folder / name).is_file()]
    needed = {*weights, *(beside for name in weights for beside in BESIDE.get(name, ()))}
    weights = [name for name in WEIGHTS if name in needed or (folder / name).is_file()]
    hashes = {
        name: sha256(folder / name) if (folder / name).is_file() else None
        for name in (*READABLE, *weights, *filter(PART.fullmatch, known))
    }
    if CARD in known:
        hashes[CARD] = _hash_of_card(card)
    return {name: now for name, now in hashes.items() if now is None or known.get(name) != now}


def hashes_of(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """The hashes of the other files in the card, by name."""
    known = card.get("parts")
    return known if isinstance(known, dict) else {}


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: it is not valid JSON; the message names the path.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also raised for text that is not UTF-8
        raise ValueError(f"{path}: not valid JSON ({error}).") from error
    except RecursionError as error:
        raise ValueError(f"{path}: not valid JSON (nested too deeply).") from error


def write_json(content: Any, path: Path) -> None:
    """Write a JSON file, whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """The content of the file that `write_json` writes."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", errors="backslashreplace")
