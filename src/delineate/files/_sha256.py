"""The content of a file as a hash."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file in hex, read piece by piece.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
