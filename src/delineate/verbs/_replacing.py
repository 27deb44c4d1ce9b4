"""Output folders of a command: foreign files are never touched, and a result is written whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from delineate.files import is_part, part_folder


def own_folder(out: Path, names: Collection[str], inputs: Sequence[Path] = ()) -> None:
    """Refuse an output folder that holds anything but an earlier output of the same command.

    Args:
        out: the output folder; it need not exist.
        names: the files and folders that will be written, which replace those of an earlier run of the command.
            Temporary parts that a killed process left are ignored.
        inputs: files and folders that are read; they must not be in `out`.

    Raises:
        ValueError: `out` is a file, has other content, or holds an input.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is a file; give the folder to write to.")
    places = [path.resolve() for path in inputs]
    inside = [path for path in places if path == out.resolve() or out.resolve() in path.parents]
    if inside:
        raise ValueError(
            f"{out}: holds {inside[0]}, which is an input. Give another folder to write to."
        )
    there = [path.name for path in out.iterdir()] if out.exists() else []
    strange = sorted(name for name in there if name not in names and not is_part(name))
    if strange:
        raise ValueError(
            f"{out}: holds {', '.join(strange[:3])}{' and more' if len(strange) > 3 else ''}, which this command "
            "does not write. Give a new or empty folder."
        )


@contextmanager
def replacing(out: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield a temporary folder to write `names` in. At the end they replace those in `out`; on an error `out` stays."""
    created = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with part_folder(out) as part:
            yield part
            old = (
                part / ".replaced"
            )  # renaming is quick; the old files are removed when the new ones are in place
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
