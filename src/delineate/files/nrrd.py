"""NRRD, by SimpleITK."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from delineate.core import Geometry, Image
from delineate.files import _itk
from delineate.files._beside import NUMBER, files_beside, header_lines, numbered
from delineate.files._format import Format, UnreadableFile, as_image

FIELDS = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}
"""Other spellings of fields."""


@dataclass(frozen=True)
class _Header:
    """The text before the samples.

    fields: value by name, in lower case; keys of the user are left out.
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
        next(lines, None)  # the magic
        for line in lines:
            if not line:
                break
            name, _, value = line.partition(":")
            if line.startswith("#") or value.startswith("="):
                continue
            name = name.strip().lower()
            name = FIELDS.get(name, name)
            if name in fields:
                raise UnreadableFile(f"states the field {name!r} twice. Export it again.")
            fields[name] = value.strip()
            if name == "data file" and value.split()[:1] == ["LIST"]:
                return _Header(fields, tuple(line for line in lines if line), file.tell())
        return _Header(fields, _names(fields.get("data file")), file.tell())


def _names(value: str | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if not NUMBER.search(value):
        return (value,)
    pattern, *numbers = value.split()
    if len(numbers) not in (3, 4) or not all(n.lstrip("-").isdecimal() for n in numbers):
        raise UnreadableFile(
            f"names its data files by {value!r}; expected '<pattern> <min> <max> <step>'."
        )
    first, last, step = (int(n) for n in numbers[:3])
    return tuple(numbered(pattern, first, last, step))


def _data_files(path: Path) -> tuple[Path, ...]:
    header = _header(path)
    return (path, *files_beside(path, header.names)) if "data file" in header.fields else (path,)


def _read_geometry(path: Path) -> Geometry:
    _data_files(path)  # before ITK opens any
    return _itk.geometry("NrrdImageIO", path)


def _read(path: Path) -> Image:
    _data_files(path)
    return _itk.image("NrrdImageIO", path)


_write = partial(_itk.write, suffix=".nrrd")

nrrd = Format(
    about="NRRD: 2D images and volumes of any depth with their place in the patient.",
    suffixes=(".nrrd",),
    begins=lambda head: head.startswith(b"NRRD000"),
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read,
    write=_write,
    write_mask=as_image(_write),
    data_files=_data_files,
)
