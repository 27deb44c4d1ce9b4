"""Text headers of NRRD and MetaImage, and the data files that they name."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from delineate.files._format import UnreadableFile

MOST_HEADER_BYTES = 1 << 20
"""Maximum length of a text header."""
MOST_DATA_FILES = 10_000
NUMBER = re.compile(r"%0?\d{0,3}d")
ALLOWED = "Only regular files beside the header, or in folders below it, are read"


@dataclass(frozen=True)
class Header:
    """A text header.

    fields: value by name.
    end: length of the header in bytes.
    names: the data files; None if the samples follow the header.
    """

    fields: Mapping[str, str]
    end: int
    names: tuple[str, ...] | None = None

    @property
    def start(self) -> int:
        """Bytes before the samples in each data file."""
        return self.end if self.names is None else 0

    def sample_files(self, path: Path) -> tuple[Path, ...]:
        """The files with the samples: the checked data files that the header in `path` names, or `path` itself.

        Raises:
            UnreadableFile: as `files_beside`.
        """
        return (path,) if self.names is None else files_beside(path, self.names)

    def data_files(self, path: Path) -> tuple[Path, ...]:
        """All files of the image: `path`, and the data files that its header names.

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
    """Read the fields of a text header.

    Args:
        path: the file that begins with the header.
        field: returns the name and the value in a line, or None if the line has no field.
        data_file: the name of the field with the data file. Its value LIST means that the names of the data files
            follow, one per line.
        ends_with_it: True if that field ends the header, as in MetaImage; False if an empty line does, as in NRRD.

    Raises:
        UnreadableFile: a field occurs twice, or the header is too long.
    """
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        lines = _lines(file)
        for line in lines:
            if not line and not ends_with_it:
                break
            named = field(line)
            if named is None:
                continue
            name, value = named
            if name in fields:
                raise UnreadableFile(f"has the field {name!r} twice. Export it again.")
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
    """The data files in a field: a single name, or a printf pattern with numbers.

    Args:
        value: "samples.raw", or "slice%03d.raw 1 20 1".
        allowed: the allowed counts of numbers after a pattern.
        numbers_of: returns the first number, the last number and the step, from the numbers in the field.

    Raises:
        UnreadableFile: invalid numbers, or numbers that give too many names.
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
    """The lines of a text header without line ends. The position of `file` is after the line that was yielded last.

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
    """The data files that the header `path` names, in their order.

    Names are relative to the folder of the header. Symbolic links are resolved before the check: a link that points
    outside the folder is refused.

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
    """The names from a printf pattern such as "slice%03d.raw", for `first` to `last`.

    Raises:
        UnreadableFile: the pattern is not of that kind, the step is 0, or there are too many names.
    """
    if len(NUMBER.findall(pattern)) != 1 or pattern.count("%") != 1:
        raise UnreadableFile(
            f"names its data files by the pattern {pattern!r}; expected one like 'slice%03d.raw'."
        )
    if step == 0:
        raise UnreadableFile("numbers its data files in steps of 0; expected a step other than 0.")
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
            f"{asks}, which is outside the folder of the header. {ALLOWED}: copy it there and change its name in the "
            "header."
        )
    if not stat.S_ISREG(real.stat().st_mode):
        raise UnreadableFile(f"{asks}, which is not a regular file. {ALLOWED}.")
    return path
