"""Folders that a verb writes: nobody else's files are touched, and nothing is half-written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def own_folder(out: Path, names: Collection[str], inputs: Sequence[Path] = ()) -> None:
    """Refuse to write where something else lies.

    Args:
        out: the folder that is to be written; it need not be there.
        names: what will be written; an earlier outcome of the same verb holds nothing else, and is replaced.
        inputs: what is read, and must stay.

    Raises:
        ValueError: a file is there, or a folder with other content, or what is read lies in it.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is a file; give the folder to write to.")
    places = [path.resolve() for path in inputs]
    inside = [path for path in places if path == out.resolve() or out.resolve() in path.parents]
    if inside:
        raise ValueError(
            f"{out}: holds {inside[0]}, which is read. Give another folder to write to."
        )
    strange = sorted(path.name for path in out.iterdir() if path.name not in names) if out.exists() else []  # fmt: skip
    if strange:
        raise ValueError(
            f"{out}: holds {', '.join(strange[:3])}{' and more' if len(strange) > 3 else ''}, which this does not "
            "write. Give a new folder, or one of its own."
        )


@contextmanager
def replacing(out: Path, names: Collection[str]) -> Iterator[Path]:
    """A folder to write `names` in; when all is done they take the place of those in `out`, else nothing changes."""
    above = next(path for path in (out, *out.parents) if path.is_dir())
    part = Path(tempfile.mkdtemp(prefix=".delineate-", dir=above))
    try:
        yield part
        out.mkdir(parents=True, exist_ok=True)
        for name in names:
            old = out / name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
            if (part / name).exists():
                (part / name).replace(old)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
