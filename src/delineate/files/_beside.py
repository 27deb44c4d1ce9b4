"""The files that a header names, and which of them may be read."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from delineate.files._format import UnreadableFile

MOST_HEADER_BYTES = 1 << 20
"""Longer text headers are refused."""
MOST_DATA_FILES = 10_000
NUMBER = re.compile(r"%0?\d{0,3}d")
ALLOWED = "Only regular files beside the header, or in folders below it, are read"


def header_lines(file: BinaryIO) -> Iterator[str]:
    """The lines of a text header without their ends; `file` stands behind the line that was given last.

    Raises:
        UnreadableFile: more than `MOST_HEADER_BYTES`.
    """
    while line := file.readline(MOST_HEADER_BYTES):
        if file.tell() > MOST_HEADER_BYTES:
            raise UnreadableFile(
                f"has a header of more than {MOST_HEADER_BYTES} bytes. Export it again."
            )
        yield line.decode("utf-8", "surrogateescape").rstrip("\r\n")


def files_beside(path: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The data files that the header `path` names, in its order.

    A name is taken from the folder of the header. Symbolic links are followed first: a link beside the header
    that leads out of the folder is outside.

    Raises:
        UnreadableFile: a file is missing, is not a regular file, or lies outside the folder of the header.
    """
    if not names:
        raise UnreadableFile("names no data file. Export it again.")
    if len(names) > MOST_DATA_FILES:
        raise UnreadableFile(
            f"names {len(names)} data files; at most {MOST_DATA_FILES} are read. Write one file."
        )
    folder = path.parent.resolve()
    return tuple(_checked(path.parent / name, name, folder) for name in names)


def numbered(pattern: str, first: int, last: int, step: int) -> list[str]:
    """The names that a printf pattern, as "slice%03d.raw", gives for `first` to `last`.

    Raises:
        UnreadableFile: the pattern is not of that kind, or the numbers give no or too many names.
    """
    if len(NUMBER.findall(pattern)) != 1 or pattern.count("%") != 1:
        raise UnreadableFile(
            f"names its data files by the pattern {pattern!r}; expected one like 'slice%03d.raw'."
        )
    if step == 0:
        raise UnreadableFile("numbers its data files in steps of 0; expected another step.")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) > MOST_DATA_FILES:
        raise UnreadableFile(
            f"names {len(numbers)} data files; at most {MOST_DATA_FILES} are read. Write one file."
        )
    return [pattern % number for number in numbers]


def _checked(path: Path, name: str, folder: Path) -> Path:
    asks = f"asks for the data file {name!r}"
    try:
        real = path.resolve(strict=True)
    except FileNotFoundError:
        raise UnreadableFile(f"{asks}, which does not exist. Copy it beside the header.") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
        raise UnreadableFile(f"{asks}, which cannot be found ({error}). {ALLOWED}.") from None
    if not real.is_relative_to(folder):
        raise UnreadableFile(
            f"{asks}, which lies outside the folder of the header. {ALLOWED}: copy it there and name it so."
        )
    if not stat.S_ISREG(real.stat().st_mode):
        raise UnreadableFile(f"{asks}, which is not a regular file. {ALLOWED}.")
    return path
