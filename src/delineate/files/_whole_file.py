"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from delineate.files._parts import is_part, part_file


@contextmanager
def whole_file(path: str | Path, *, suffix: str | None = None) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it becomes `path` on success and is removed on any failure.

    Missing folders are created. The name begins with a dot, so that no glob finds a file being written, and
    has the ending of `path`, or `suffix` for libraries that know a format by another one. What a killed process
    left is removed by the next one that writes in the same folder.

    Raises:
        OSError: the file cannot be written, or nothing was written; names `path`.
    """
    path = Path(path)
    ending = path.suffix if suffix is None else suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_file(path.parent, ending) as part:
            yield part
            if not part.stat().st_size:  # a library that failed and did not say so
                raise FileNotFoundError(errno.ENOENT, "nothing was written", str(path))
            os.replace(part, path)
    except OSError as error:
        if error.errno is not None and (
            error.filename is None or is_part(Path(os.fsdecode(error.filename)).name)
        ):  # a full disk does not say where it is, and a part is no name that a user knows
            error.filename = str(path)
            del error.filename2
        raise
