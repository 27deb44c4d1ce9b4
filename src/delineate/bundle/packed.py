"""A bundle as one file: a zip of its folder, which `unzip` opens too.

The same files give the same bytes: they are stored without compression, sorted by name, without times. A zip is read
only if it has exactly these bytes. So it needs no more room than its size, each header says the truth, and there is no
place for links, encryption, other files, or data between the files.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from isal import isal_zlib

from delineate.bundle.card import CARD, DEEPEST, READABLE, WEIGHTS
from delineate.files import cache_folder, part_folder, whole_file

PACKED = ".delineate"
"""The ending of a bundle in one file. It is recognized by its content; the ending says what to write."""

MOST_FILES = 1000

LONGEST_NAME = 300

PIECE = 1 << 20
"""The bytes that are read at once."""

NAME = re.compile(
    rf"(?:parts/(?![.-])[A-Za-z0-9_.-]{{1,80}}(?<!\.)/){{0,{DEEPEST - 1}}}"
    rf"(?:{'|'.join(map(re.escape, (CARD, *READABLE, *WEIGHTS)))})"
)
"""The path of a file of a bundle, in its folder."""

OUTSIDE, LINK = "lies outside the bundle", "is a link or a device"

LOCAL, CENTRAL, END = (struct.Struct(layout) for layout in ("<4s5H3I2H", "<4s6H3I5H2I", "<4s4H2IH"))
"""The headers of a zip: of a file, of its entry in the directory, and at the end (PKWARE, APPNOTE.TXT 4.3)."""


@dataclass(frozen=True)
class _Entry:
    """A file in the zip; `at` is where its header begins."""

    name: str
    size: int
    crc: int
    at: int = 0

    @property
    def _common(self) -> tuple[int, ...]:
        """Version 2.0, no flags, stored, 1980-01-01, CRC-32, packed and real size, length of the name, no extra."""
        return (20, 0, 0, 0, 33, self.crc, self.size, self.size, len(self.name), 0)

    @property
    def header(self) -> bytes:
        return LOCAL.pack(b"PK\3\4", *self._common) + self.name.encode()

    @property
    def listed(self) -> bytes:
        """Its entry in the directory: written on Unix, no comment, a regular file with the rights rw-r--r--."""
        rest = (0, 0, 0, 0o100644 << 16, self.at)
        return CENTRAL.pack(b"PK\1\2", 3 << 8 | 20, *self._common, *rest) + self.name.encode()

    @property
    def end(self) -> int:
        return self.at + LOCAL.size + len(self.name) + self.size


def pack(contents: Mapping[str, Path | bytes], path: Path) -> None:
    """Write the files of a bundle as a zip.

    Args:
        contents: each file, or what is in it, by its path in the bundle.
        path: the file to write.

    Raises:
        ValueError: a name that no bundle has, too many files, more than 4 GiB, or a file that changed meanwhile.
    """
    entries: list[_Entry] = []
    for name in sorted(contents):
        if problem := _problem(name):
            raise ValueError(
                f"{path}: {name} {problem}. Give it another name, or share the folder."
            )
        with _opened(contents[name]) as file:
            size, crc = 0, 0
            while piece := file.read(PIECE):
                size, crc = size + len(piece), isal_zlib.crc32(piece, crc)
        entries.append(_Entry(name, size, crc, entries[-1].end if entries else 0))
    tail = _directory(entries)
    if len(entries) > MOST_FILES or entries[-1].end + len(tail) >= 1 << 32:
        raise ValueError(
            f"{path}: the bundle has {len(entries)} files with {entries[-1].end} bytes; one file takes {MOST_FILES} "
            "files and 4 GiB. Share the folder."
        )
    with whole_file(path) as part, open(part, "wb") as out:
        for entry in entries:
            out.write(entry.header)
            with _opened(contents[entry.name]) as file:
                for piece in _pieces(file, entry, path):
                    out.write(piece)
        out.write(tail)


def unpacked(path: Path, check: Callable[[Path], Iterable[str]]) -> Path:
    """The folder in the cache with the files of a packed bundle. It is made if it is not there, or not the same.

    Args:
        path: the packed bundle.
        check: opens a folder as a bundle and returns the paths of its files; raises ValueError if it is none.

    Raises:
        ValueError: the file is damaged, no zip of a bundle, or not as `pack` writes it; nothing is left of it.
        OSError: it cannot be read, or the cache cannot be written.
    """
    with open(path, "rb") as file:
        entries = _entries(file, path)
        card = next(entry for entry in entries if entry.name == CARD)
        file.seek(card.end - card.size)
        digest = hashlib.sha256(file.read(card.size)).hexdigest()  # of the hashes of all files
        plain = re.sub(r"[^\w.-]+", "-", path.stem, flags=re.ASCII).lstrip(".-")[:40]
        home = cache_folder() / "bundles" / f"{plain or 'bundle'}-{digest[:16]}"
        if _same(home, file, entries, path):
            return home
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with _locked(home.parent):
                if not _same(home, file, entries, path):  # another process may have made it
                    _unpack(home, file, entries, path, check)
        except OSError as error:
            raise OSError(
                f"{path}: cannot be unpacked into the cache ({error}). Set DELINEATE_CACHE to a folder with room that "
                "can be written, or unzip the file and give its folder."
            ) from error
    return home


def _entries(file: BinaryIO, path: Path) -> list[_Entry]:
    """The files in a zip, which is as `pack` writes it except for what the files hold."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - END.size, 0))
    end = file.read(END.size)
    if len(end) < END.size or not end.startswith(b"PK\5\6"):
        if zipfile.is_zipfile(file):
            raise _foreign(path)
        raise ValueError(
            f"{path}: no bundle there. Expected a run's folder, the folder of a bundle, or a bundle in one file, which "
            "is a zip; if it was one, copy it again."
        )
    *_, count, length, start, _ = END.unpack(end)
    if count > MOST_FILES or length > MOST_FILES * (CENTRAL.size + LONGEST_NAME):
        raise ValueError(
            f"{path}: the zip lists {count} files in {length} bytes; a bundle has {MOST_FILES} files at most. Get it "
            "from another source."
        )
    file.seek(min(start, size))
    tail = file.read(length + END.size + 1)
    entries: list[_Entry] = []
    at = 0
    while at + CENTRAL.size <= min(length, len(tail)) and len(entries) < count:
        _, _, _, flags, method, _, _, crc, _, real, letters, *rest = CENTRAL.unpack_from(tail, at)
        name = tail[at + CENTRAL.size : at + CENTRAL.size + letters].decode("cp437")
        mode = rest[-2] >> 16
        problem = _problem(name) or (
            "is encrypted" if flags & 1
            else "is compressed" if method
            else LINK if mode & 0o170000 not in (0, 0o100000)
            else ""
        )  # fmt: skip
        if problem:
            raise _foreign(path, f"{name[:80]} {problem}")
        entries.append(_Entry(name, real, crc, entries[-1].end if entries else 0))
        at += CENTRAL.size + letters + rest[0] + rest[1]
    names = [entry.name for entry in entries]
    if twice := [name for name, count in Counter(map(str.lower, names)).items() if count > 1]:
        raise _foreign(path, f"{twice[0]} is there twice")
    if missing := sorted({CARD, *READABLE} - {*names}):
        raise _foreign(path, f"{missing[0]} is missing")
    if names != sorted(names) or start != entries[-1].end or tail != _directory(entries):
        raise _foreign(path)
    for entry in entries:
        file.seek(entry.at)
        if file.read(len(entry.header)) != entry.header:
            raise _foreign(path)
    return entries


def _problem(name: str) -> str:
    """Why a zip of a bundle has no file of this name; "" if it may."""
    if NAME.fullmatch(name):
        return ""
    outside = name.startswith(("/", "\\")) or ":" in name or ".." in re.split(r"[/\\]", name)
    return OUTSIDE if outside else "is no file of a bundle"


def _foreign(path: Path, why: str = "") -> ValueError:
    found = (
        f"the zip is refused, since {ascii(why)[1:-1]}" if why else "no zip that Delineate wrote"
    )
    advice = (
        "If it was damaged, copy it again. If another tool wrote it, unzip it and give the folder."
    )
    hostile = why.endswith((OUTSIDE, LINK))
    return ValueError(f"{path}: {found}. {'Do not unpack it.' if hostile else advice}")


def _directory(entries: Sequence[_Entry]) -> bytes:
    """What follows the files: the directory, and the end of the zip."""
    listed = b"".join(entry.listed for entry in entries)
    count = len(entries)
    return listed + END.pack(b"PK\5\6", 0, 0, count, count, len(listed), entries[-1].end, 0)


def _pieces(file: BinaryIO, entry: _Entry, path: Path) -> Iterator[bytes]:
    """What is in a file, piece by piece, from where `file` stands; at the end its size and CRC-32 are checked."""
    left, crc = entry.size, 0
    while left and (piece := file.read(min(left, PIECE))):
        left, crc = left - len(piece), isal_zlib.crc32(piece, crc)
        yield piece
    if left or crc != entry.crc:
        raise ValueError(f"{path}: {entry.name} in it is damaged (CRC-32). Copy the file again.")


def _same(home: Path, file: BinaryIO, entries: Sequence[_Entry], path: Path) -> bool:
    """Whether a folder holds the files of the zip to the byte, and no others."""
    if not home.is_dir():
        return False
    there = {each.relative_to(home).as_posix() for each in home.rglob("*") if not each.is_dir()}
    if there != {entry.name for entry in entries}:
        return False
    for entry in entries:
        file.seek(entry.end - entry.size)
        try:
            with open(home / entry.name, "rb") as known:
                pieces = _pieces(file, entry, path)
                if any(known.read(len(piece)) != piece for piece in pieces) or known.read(1):
                    return False
        except OSError:  # it is made anew, or the error is raised there
            return False
    return True


def _unpack(
    home: Path,
    file: BinaryIO,
    entries: Sequence[_Entry],
    path: Path,
    check: Callable[[Path], Iterable[str]],
) -> None:
    """Unpack the zip, check the bundle, and put it in place of what is at `home`."""
    with part_folder(home.parent) as part:
        folder = part / home.name
        for entry in entries:
            (folder / entry.name).parent.mkdir(parents=True, exist_ok=True)
            file.seek(entry.end - entry.size)
            with open(folder / entry.name, "wb") as out:
                for piece in _pieces(file, entry, path):
                    out.write(piece)
        try:
            known = {*check(folder)}
        except ValueError as error:
            error.args = (str(error).replace(str(folder), str(path)),)
            raise
        if strange := sorted({entry.name for entry in entries} - known):
            raise _foreign(path, f"{strange[0]} is no part of the bundle in it")
        if home.exists():
            home.rename(part / "damaged")
        try:
            folder.rename(home)
        except OSError:  # where files cannot be locked, another process may have been first
            if not _same(home, file, entries, path):
                raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process unpacks into a folder; not on file systems that have no locks."""
    from filelock import FileLock

    lock = FileLock(folder / ".lock")
    with suppress(OSError, NotImplementedError):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _opened(source: Path | bytes) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else open(source, "rb")
