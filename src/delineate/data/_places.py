"""Where a path written in a recipe lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from delineate.data._words import some


class NotThereError(ValueError):
    """A path of a recipe leads nowhere; the message says where it was looked for."""


def find_folder(name: str, places: Sequence[Path]) -> Path:
    """The first folder `name` below one of the places.

    Raises:
        NotThereError: there is none.
    """
    tried = _tried(name, places)
    for path in tried:
        if path.is_dir():
            return path
    raise NotThereError(f"root: no folder {name!r}. Looked for: {some(tried)}.")


def find_file(name: str, places: Sequence[Path], what: str) -> Path:
    """The first file `name` below one of the places.

    Raises:
        NotThereError: there is none.
    """
    tried = _tried(name, places)
    for path in tried:
        if path.is_file():
            return path
    raise NotThereError(f"{what}: no file {name!r}. Looked for: {some(tried)}.")


def _tried(name: str, places: Sequence[Path]) -> list[Path]:
    """Each place once; an absolute path stands for itself everywhere."""
    return list(dict.fromkeys(place.absolute() / Path(name).expanduser() for place in places))
