"""Convert files, folders and globs to cases without truth."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from delineate.core import Case
from delineate.core.case import DRIVE, LONGEST_PART, UNSAFE
from delineate.data._paths import is_readable, made_of, split_ending
from delineate.files import image_suffixes, read_image
from delineate.words import some


def cases_of(paths: str | Path | Sequence[str | Path]) -> list[Case]:
    """A case without truth for each image in files, folders (with all subfolders) and globs, one or several.

    The id is the path below the given folder, or the name of a single file, without the ending. If two ids would be
    equal except for case, both keep their endings; if they are still equal, they get numbers. Characters that an id
    may not contain (a backslash, a control character) become "_". Hidden files are left out. Each file is taken once.

    Raises:
        ValueError: no such file or folder, or no image that can be read.
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    found: dict[str, tuple[Path, str]] = {}
    for path in map(Path, paths):
        for file, name in _files(path):
            found.setdefault(os.path.abspath(file), (file, name))
    if not found:
        raise ValueError(
            f"no image in {some(paths)}. Endings that can be read: {' '.join(sorted(image_suffixes()))}."
        )
    ids = _unique([_safe(name) for _, name in found.values()])
    return [
        Case(id, id, partial(read_image, file), image_files=made_of(file))
        for id, (file, _) in zip(ids, found.values(), strict=True)
    ]


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Each file of a path, with its name relative to the given folder."""
    if path.is_file():
        yield path, path.name
    elif path.is_dir():
        yield from _below(path, path.rglob("*"))
    elif glob.has_magic(str(path)):
        fixed = Path(*(part for part in _until_magic(path)))
        for match in sorted(glob.glob(str(path), recursive=True)):
            if Path(match).is_dir():
                yield from _below(fixed, Path(match).rglob("*"))
            else:
                yield from _below(fixed, [Path(match)])
    else:
        raise ValueError(f"{path}: no such file or folder.")


def _until_magic(path: Path) -> Iterator[str]:
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _below(folder: Path, files: Iterator[Path] | Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for file in sorted(files):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if not hidden and is_readable(file) and file.is_file():
            yield file, name.as_posix()


def _safe(name: str) -> str:
    """The name as a valid id; file names may contain any character."""
    parts = [
        UNSAFE.sub("_", _cut(part))
        for part in DRIVE.sub(lambda drive: drive[0][0] + "_", name).split("/")
    ]
    return "/".join(parts)


def _cut(part: str) -> str:
    """A part shortened to the maximum length, with its ending and with room for a number."""
    stem, ending = split_ending(part)
    while len((stem + ending).encode(errors="surrogatepass")) > LONGEST_PART - 10:
        stem, ending = (stem[:-1], ending) if stem else ("", ending[:-1])
    return stem + ending


def _unique(names: Sequence[str]) -> list[str]:
    """Ids that are unique regardless of case, since file systems of macOS and Windows ignore case."""
    short = [split_ending(name)[0] for name in names]
    counts = Counter(map(_folded, short))
    wanted = [
        name if counts[_folded(s)] > 1 or UNSAFE.search(s) or not s.split("/")[-1] else s
        for name, s in zip(names, short, strict=True)
    ]
    known = set(map(_folded, wanted))
    taken: set[str] = set()
    ids = []
    for name in wanted:
        id, number = name, 2
        while _folded(id) in taken or (id != name and _folded(id) in known):
            id, number = f"{name}-{number}", number + 1
        taken.add(_folded(id))
        ids.append(id)
    return ids


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
