"""Images and masks in two folders, as the data layout `folder` takes them."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import Any


def two_folders(images: str | Path, masks: str | Path) -> dict[str, Any]:
    """The arguments `root`, `images` and `masks` of the data layout `folder` for all files in two folders.

    Raises:
        ValueError: one of them is not a folder.
    """
    places = [Path(place).absolute() for place in (images, masks)]
    for place in places:
        if not place.is_dir():
            raise ValueError(f"{place}: no such folder.")
    home = Path(os.path.commonpath(places))
    return {
        "root": str(home),
        "images": _all_in(places[0], home),
        "masks": _all_in(places[1], home),
    }


def _all_in(folder: Path, home: Path) -> str:
    """The glob of all files in a folder, relative to `home`."""
    inner = folder.relative_to(home).as_posix()
    return "*" if inner == "." else glob.escape(inner) + "/*"
