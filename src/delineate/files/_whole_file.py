"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path, *, suffix: str | None = None) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it becomes `path` on success and is removed on any failure.

    Missing folders are created. The name begins with a dot, so that no glob finds a file being written, and
    has the ending of `path`, or `suffix` for libraries that know a format by another one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix if suffix is None else suffix
    part = path.with_name(f".{secrets.token_hex(8)}{ending}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if (
            error.filename is None and error.errno is not None
        ):  # a full disk does not say where it is
            error.filename = str(path)
        raise
    finally:  # also on KeyboardInterrupt; after success nothing is left to remove
        part.unlink(missing_ok=True)
