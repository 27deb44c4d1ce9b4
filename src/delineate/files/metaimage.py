"""MetaImage, read from its header and its samples, written by SimpleITK."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from delineate.core import Geometry, Image
from delineate.files import _itk, _samples
from delineate.files._beside import NUMBER, files_beside, header_lines, numbered
from delineate.files._format import Format, UnreadableFile, as_image
from delineate.files._samples import MOST_AXES, Samples

TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")


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


def _opened(path: Path) -> tuple[Samples, Geometry]:
    """Where the samples are, and where they lie."""
    header = _header(path)
    fields = header.fields
    local = fields["ElementDataFile"].upper() == "LOCAL"
    sizes = tuple(int(n) for n in fields.get("DimSize", "").split())
    n = int(fields.get("NDims", "0"))
    if len(sizes) != n or not 2 <= n < MOST_AXES:
        raise UnreadableFile(
            f"has DimSize {sizes} for {n} dimensions; expected a size for each of 2 to {MOST_AXES - 1}. "
            "Export it again."
        )
    kind = fields.get("ElementType", "").removesuffix("_ARRAY")
    if kind not in TYPES:
        raise UnreadableFile(f"has samples of type {kind!r}; expected one of {', '.join(TYPES)}.")
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    packed = _true(fields, "CompressedData", default=False)
    skip = int(fields.get("HeaderSize", "0"))
    if channels < 1 or skip < -1 or (packed and skip):
        raise UnreadableFile(
            f"has {channels} channels and a HeaderSize of {skip}; expected 1 or more, and none where data are "
            "compressed. Export it again."
        )
    swapped = _true(fields, *BIG_ENDIAN, default=False)
    text = not _true(fields, "BinaryData", default=True)
    samples = Samples(
        files=(path,) if local else files_beside(path, header.names),
        dtype=np.dtype((">" if swapped else "<") + TYPES[kind]),
        sizes=sizes if channels == 1 else (channels, *sizes),
        channels=None if channels == 1 else 0,
        encoding="zlib or gzip" if packed else "text" if text else "raw",
        skip=skip,
        start=header.end if local else 0,
    )
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), np.ones(n))
    origin = _numbers(fields, ("Offset", "Position", "Origin"), np.zeros(n))
    rows = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), np.eye(n).ravel())
    return samples, _samples.geometry(samples, spacing, rows.reshape(n, n).T, origin)


def _true(fields: dict[str, str], *keys: str, default: bool) -> bool:
    """Whether a key says yes; MetaIO looks at the first letter alone."""
    found = next((fields[key] for key in keys if fields.get(key)), "TF"[not default])
    if found[0] not in "TtYy1FfNn0":
        raise UnreadableFile(f"states {keys[0]} = {found!r}; expected True or False.")
    return found[0] in "TtYy1"


def _numbers(fields: dict[str, str], keys: tuple[str, ...], default: np.ndarray) -> np.ndarray:
    """The value of the first key that is there."""
    key = next((key for key in keys if key in fields), None)
    if key is None:
        return default
    found = np.array([float(word) for word in fields[key].split()])
    if found.shape != default.shape or not np.isfinite(found).all():
        raise UnreadableFile(f"states {key} = {fields[key]!r}; expected {default.size} numbers.")
    return found


def _read_geometry(path: Path) -> Geometry:
    return _opened(path)[1]


def _read(path: Path) -> Image:
    return _samples.image(*_opened(path))


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
