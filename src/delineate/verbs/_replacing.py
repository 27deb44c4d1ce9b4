"""Folders that a verb writes: nobody else's files are touched, and nothing is half-written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from delineate.files import is_part, part_folder


def own_folder(out: Path, names: Collection[str], inputs: Sequence[Path] = ()) -> None:
    """Refuse to write where something else lies.

    Args:
        out: the folder that is to be written; it need not be there.
        names: what will be written; an earlier outcome of the same verb holds nothing else, and is replaced. Parts
            that a killed process left do not count.
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
    there = [path.name for path in out.iterdir()] if out.exists() else []
    strange = sorted(name for name in there if name not in names and not is_part(name))
    if strange:
        raise ValueError(
            f"{out}: holds {', '.join(strange[:3])}{' and more' if len(strange) > 3 else ''}, which this does not "
            "write. Give a new folder, or one of its own."
        )


@contextmanager
def replacing(out: Path, names: Collection[str]) -> Iterator[Path]:
    """A folder to write `names` in; when all is done they take the place of those in `out`, else nothing changes."""
    created = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with part_folder(out) as part:
            yield part
            old = part / ".replaced"  # set aside in no time, and removed when the new are in place
            old.mkdir()
            for name in names:
                if (out / name).exists() or (out / name).is_symlink():
                    (out / name).rename(old / name)
                if (part / name).exists():
                    (part / name).rename(out / name)
    finally:
        for path in dict.fromkeys((out, *created)):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
