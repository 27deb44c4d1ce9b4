"""MetaImage, by SimpleITK."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from delineate.core import Geometry, Image
from delineate.files import _itk
from delineate.files._beside import NUMBER, files_beside, header_lines, numbered
from delineate.files._format import Format, UnreadableFile, as_image


@dataclass(frozen=True)
class _Header:
    """The text before the samples.

    fields: value by key.
    names: the data files; none if the samples follow the header.
    end: the number of bytes of the header.
    """

    fields: dict[str, str]
    names: tuple[str, ...]
    end: int


def _header(path: Path) -> _Header:
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        lines = header_lines(file)
        for line in lines:
            key, _, value = (part.strip() for part in re.split("([=:])", line, maxsplit=1))
            if key in fields:
                raise UnreadableFile(f"states {key!r} twice. Export it again.")
            fields[key] = value
            if key == "ElementDataFile":  # always the last
                names = _names(fields)
                if names is None:
                    names = [line.strip() for line in lines if line.strip()]
                return _Header(fields, tuple(names), file.tell())
    raise UnreadableFile(
        "is MetaImage without the key ElementDataFile; it was cut short. Copy it again."
    )


def _names(fields: dict[str, str]) -> list[str] | None:
    """The data files; none if the samples follow the header, None if a list of names does."""
    value = fields["ElementDataFile"]
    if value.upper() == "LOCAL":
        return []
    pattern, *numbers = value.split() or [""]
    if pattern == "LIST":
        return None
    if not NUMBER.search(pattern):
        return [value]
    if len(numbers) > 3 or not all(n.lstrip("-").isdecimal() for n in numbers):
        raise UnreadableFile(
            f"names its data files by {value!r}; expected '<pattern> <min> <max> <step>'."
        )
    slices = int(fields.get("DimSize", "1").split()[-1])
    first = int(numbers[0]) if numbers else 1
    last = int(numbers[1]) if len(numbers) > 1 else first + slices - 1
    step = int(numbers[2]) if len(numbers) > 2 else max((last - first + 1) // slices, 1)
    return numbered(pattern, first, last, step)


def _data_files(path: Path) -> tuple[Path, ...]:
    header = _header(path)
    local = header.fields["ElementDataFile"].upper() == "LOCAL"
    return (path,) if local else (path, *files_beside(path, header.names))


def _read_geometry(path: Path) -> Geometry:
    _data_files(path)  # before ITK opens any
    return _itk.geometry("MetaImageIO", path)


def _read(path: Path) -> Image:
    _data_files(path)
    return _itk.image("MetaImageIO", path)


# An .mhd is written with its pixels inside ("ElementDataFile = LOCAL"): of two files, one may be missing.
_write = partial(_itk.write, suffix=".mha")

metaimage = Format(
    about="MetaImage: 2D images and volumes of any depth with their place in the patient.",
    suffixes=(".mha", ".mhd"),
    begins=lambda head: re.match(rb"\s*(ObjectType|Comment|NDims)\s*=", head) is not None,
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read,
    write=_write,
    write_mask=as_image(_write),
    data_files=_data_files,
)
