"""The text header of NRRD and MetaImage, the files that it names, and which of them may be read."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from delineate.files._format import UnreadableFile

MOST_HEADER_BYTES = 1 << 20
"""Longer text headers are refused."""
MOST_DATA_FILES = 10_000
NUMBER = re.compile(r"%0?\d{0,3}d")
ALLOWED = "Only regular files beside the header, or in folders below it, are read"


@dataclass(frozen=True)
class Header:
    """The text before the samples.

    fields: value by name.
    end: the number of bytes of the header.
    names: the data files; None if the samples follow the header.
    """

    fields: Mapping[str, str]
    end: int
    names: tuple[str, ...] | None = None

    @property
    def start(self) -> int:
        """Bytes before the samples, in each file that holds them."""
        return self.end if self.names is None else 0

    def sample_files(self, path: Path) -> tuple[Path, ...]:
        """The files that hold the samples: those which the header in `path` names, checked, or `path` itself.

        Raises:
            UnreadableFile: as `files_beside`.
        """
        return (path,) if self.names is None else files_beside(path, self.names)

    def data_files(self, path: Path) -> tuple[Path, ...]:
        """All files of the image: `path`, and those that its header names.

        Raises:
            UnreadableFile: as `files_beside`.
        """
        return (path,) if self.names is None else (path, *files_beside(path, self.names))


def read_header(
    path: Path,
    field: Callable[[str], tuple[str, str] | None],
    data_file: str,
    *,
    ends_with_it: bool,
) -> Header:
    """The fields of a text header.

    Args:
        path: the file that begins with it.
        field: the name and the value in a line; None if it holds no field.
        data_file: the field that says where the samples are. Its value LIST means that the names of the data files
            follow, one a line.
        ends_with_it: whether the header ends with that field, as in MetaImage, or at the first empty line, as in NRRD.

    Raises:
        UnreadableFile: a field is stated twice, or the header is too long.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        lines = _lines(file)
        for line in lines:
            if not line and not ends_with_it:
                break
            found = field(line)
            if found is None:
                continue
            name, value = found
            if name in fields:
                raise UnreadableFile(f"states {name!r} twice. Export it again.")
            fields[name] = value
            if name == data_file and value.split()[:1] == ["LIST"]:
                names = tuple(line.strip() for line in lines if line.strip())
                return Header(fields, file.tell(), names)
            if name == data_file and ends_with_it:
                break
        return Header(fields, file.tell())


def named_files(
    value: str, allowed: Sequence[int], numbers_of: Callable[[list[int]], tuple[int, int, int]]
) -> tuple[str, ...]:
    """The data files that a field names: a single one, or those of a printf pattern with numbers behind it.

    Args:
        value: "samples.raw", or "slice%03d.raw 1 20 1".
        allowed: how many numbers may stand behind a pattern.
        numbers_of: the first and the last number of a file, and the step between, from those that are written.

    Raises:
        UnreadableFile: numbers that make no sense, or that give no or too many names.
    """
    pattern, *numbers = value.split() or [""]
    if not NUMBER.search(pattern):
        return (value,)
    if len(numbers) not in allowed or not all(n.lstrip("-").isdecimal() for n in numbers):
        raise UnreadableFile(
            f"names its data files by {value!r}; expected '<pattern> <min> <max> <step>'."
        )
    return tuple(_numbered(pattern, *numbers_of([int(n) for n in numbers])))


def _lines(file: BinaryIO) -> Iterator[str]:
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


def _numbered(pattern: str, first: int, last: int, step: int) -> list[str]:
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
