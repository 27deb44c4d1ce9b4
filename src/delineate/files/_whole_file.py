"""Atomic writing of files, their hash, and the cache folder.

A part is a temporary hidden file or folder that is being written. The writing process locks it, and the operating
system releases the lock when the process ends, even after a crash. An unlocked part is therefore a leftover, and the
next process that writes in its folder removes it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":  # Windows cannot rename an open file, so parts are not locked there
    import fcntl

PREFIX = ".delineate-"

_clearing, _cleared = threading.Lock(), set[str]()

UNLOCKED_SECONDS = 86_400
"""On a file system without locks, a part that did not change for this time is a leftover."""


@contextmanager
def whole_file(path: str | Path, *, suffix: str | None = None) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; it is renamed to `path` on success and removed on failure.

    Missing folders are created. The temporary name begins with a dot, so that globs do not match it. It has the ending
    of `path`, or `suffix` for libraries that take the format from the ending. The next process that writes in the same
    folder removes the parts of killed processes. If `path` is such a temporary path itself, it is written in place: a
    file renamed to it would not have its lock, and another thread or process would take it for a leftover.

    Raises:
        OSError: the file cannot be written, or nothing was written; names `path`.
    """
    path = Path(path)
    if is_part(path.name):
        yield path
        return
    ending = path.suffix if suffix is None else suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_file(path.parent, ending) as part:
            yield part
            if not part.stat().st_size:  # a library that failed without an error
                raise FileNotFoundError(errno.ENOENT, "nothing was written", str(path))
            os.replace(part, path)
    except OSError as error:
        if error.errno is not None and (
            error.filename is None or is_part(Path(os.fsdecode(error.filename)).name)
        ):  # replace a missing path, or that of a part, by the path that the user knows
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
            "there is no folder for the cache, because this user has no home folder. Set DELINEATE_CACHE to "
            "a folder, or train with --set trainer.cache=false."
        ) from error


@contextmanager
def part_file(folder: Path, ending: str) -> Iterator[Path]:
    """An empty hidden file in `folder`. It is removed at the end, unless it was renamed."""
    clear_parts_once(os.path.abspath(folder))
    with _made(folder, ending, lambda path: path.touch(exist_ok=False)) as part:
        yield part


@contextmanager
def part_folder(folder: Path) -> Iterator[Path]:
    """An empty hidden folder in `folder`. It is removed at the end."""
    clear_parts(folder)
    with _made(folder, "", Path.mkdir) as part:
        yield part


def is_part(name: str) -> bool:
    """Whether this is the name of a part."""
    return name.startswith(PREFIX)


def clear_parts(folder: Path) -> None:
    """Remove the parts of killed processes in a folder; parts in use are kept."""
    with suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry) for entry in entries if is_part(entry.name)]:
            with suppress(OSError):  # another process is removing it, or it belongs to another user
                _clear(path)


def clear_parts_once(folder: str) -> None:
    """As `clear_parts`, but once per process and folder, because a folder may contain many files."""
    with _clearing:
        if folder not in _cleared:
            clear_parts(Path(folder))
            _cleared.add(folder)


@contextmanager
def _made(folder: Path, ending: str, make: Callable[[Path], None]) -> Iterator[Path]:
    lock = None
    while True:
        part = folder / f"{PREFIX}{secrets.token_hex(8)}{ending}"
        make(part)
        with suppress(OSError):  # a file system without locks
            lock = _locked(part, wait=True)
        if part.exists():  # else another process removed it before it was locked
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
    """A file descriptor that holds a lock until it is closed or the process ends; None on Windows.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: a file system without locks.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(
        path, os.O_RDONLY if path.is_dir() else os.O_RDWR
    )  # NFS needs write access
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
