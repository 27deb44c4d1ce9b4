"""Hidden files and folders that are being written, and what a killed process left of them.

A part is locked by the process that writes it, and the system drops the lock when the process ends, however it ends.
So a part that nobody holds was left behind, and the next process that writes in its folder removes it.
"""

from __future__ import annotations

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
