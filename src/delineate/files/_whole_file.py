"""Files, whatever they hold: written whole or not at all, hashed, and where the cache keeps them.

A part is a hidden file or folder that is being written. It is locked by the process that writes it, and the system
drops the lock when the process ends, however it ends. So a part that nobody holds was left behind, and the next process
that writes in its folder removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

if sys.platform != "win32":  # Windows cannot rename a file that is open: parts are not locked there
    import fcntl

PREFIX = ".delineate-"

UNLOCKED_SECONDS = 86_400
"""Where a file system has no locks, a part that did not change for so long was left behind."""


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


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file in hex, read piece by piece.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def cache_folder() -> Path:
    """$DELINEATE_CACHE, else `delineate` in the user's cache folder.

    Raises:
        OSError: the user has no home folder, as in some containers.
    """
    if given := os.environ.get("DELINEATE_CACHE"):
        return Path(given)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "delineate"
    try:
        return Path.home() / ".cache" / "delineate"
    except RuntimeError as error:
        raise OSError(
            "there is no folder for the cache, since this user has no home folder. Point DELINEATE_CACHE to "
            "a folder, or train with --set trainer.cache=false."
        ) from error


@contextmanager
def part_file(folder: Path, ending: str) -> Iterator[Path]:
    """An empty hidden file in `folder`, removed at the end unless it was renamed; after a kill, by the next process."""
    clear_parts_once(os.path.abspath(folder))
    with _made(folder, ending, lambda path: path.touch(exist_ok=False)) as part:
        yield part


@contextmanager
def part_folder(folder: Path) -> Iterator[Path]:
    """An empty hidden folder in `folder`, removed at the end; after a kill, by the next process."""
    clear_parts(folder)
    with _made(folder, "", Path.mkdir) as part:
        yield part


def is_part(name: str) -> bool:
    """Whether a file or folder of this name is a part, being written or left behind."""
    return name.startswith(PREFIX)


def clear_parts(folder: Path) -> None:
    """Remove the parts in a folder that killed processes left behind; those in use stay."""
    with suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry) for entry in entries if is_part(entry.name)]:
            with suppress(OSError):  # another process removes it now, or another user's
                _clear(path)


@cache
def clear_parts_once(folder: str) -> None:
    """As `clear_parts`, the first time that this process writes in a folder; it may hold many files."""
    clear_parts(Path(folder))


@contextmanager
def _made(folder: Path, ending: str, make: Callable[[Path], None]) -> Iterator[Path]:
    lock = None
    while True:
        part = folder / f"{PREFIX}{secrets.token_hex(8)}{ending}"
        make(part)
        with suppress(OSError):  # a file system without locks
            lock = _locked(part, wait=True)
        if part.exists():  # else removed between the two, as nobody's
            break
        if lock is not None:
            os.close(lock)
            lock = None
    try:
        yield part
    finally:  # also on KeyboardInterrupt
        _remove(part)
        if lock is not None:
            os.close(lock)


def _clear(part: Path) -> None:
    try:
        lock = _locked(part, wait=False)
    except BlockingIOError:  # in use
        return
    except OSError:
        lock = None
    if lock is None:
        changed = [path.lstat().st_mtime for path in (part, *part.rglob("*"))]
        if time.time() - max(changed) > UNLOCKED_SECONDS:
            _remove(part)
        return
    try:
        _remove(part)
    finally:
        os.close(lock)


def _locked(path: Path, *, wait: bool) -> int | None:
    """A descriptor that holds a lock until it is closed or the process ends; None where there are no locks.

    Raises:
        BlockingIOError: another process holds it.
        OSError: a file system without locks.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # NFS asks for writing
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
