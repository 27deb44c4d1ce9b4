"""Files as they are stored, before they are made fit for use."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from delineate.core import Image
from delineate.files import UnreadableFile, by_content, by_ending


def stored_mask(path: Path) -> Image:
    """A mask in the type of its file, and with whatever it holds; of a file that `read_mask` reads."""
    return by_content(path).read_mask(path)


def not_finite(path: Path) -> int:
    """How many samples of an image are NaN or infinity, which `read_image` replaces; of a file that it reads."""
    pixels = by_content(path).read(path).pixels
    return int(pixels.size - np.count_nonzero(np.isfinite(pixels)))


def misnamed(path: Path) -> str:
    """In words, that a file is in another format than its name says ("a.jpg is PNG"), or ""."""
    try:
        content = by_content(path)
    except UnreadableFile:
        return ""
    named, _ = by_ending(path)
    kind = content.about.split(":")[0]
    return "" if named in (None, content) else f"{path.name} is {kind}"
