"""MetaImage, read from its header and its samples, written by SimpleITK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from delineate.core import Geometry
from delineate.files._format import UnreadableFile
from delineate.files._header import Header, named_files, read_header
from delineate.files._samples import MOST_AXES, Samples, format_of, geometry

TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")


def _header(path: Path) -> Header:
    header = read_header(path, _field, "ElementDataFile", ends_with_it=True)
    value = header.fields.get("ElementDataFile")
    if value is None:
        raise UnreadableFile(
            "is MetaImage without the key ElementDataFile; it is truncated. Copy it again."
        )
    if value.upper() == "LOCAL" or header.names is not None:
        return header

    def numbers_of(written: list[int]) -> tuple[int, int, int]:
        slices = int(header.fields.get("DimSize", "1").split()[-1])
        first = written[0] if written else 1
        last = written[1] if len(written) > 1 else first + slices - 1
        return first, last, written[2] if len(written) > 2 else max((last - first + 1) // slices, 1)

    return replace(header, names=named_files(value, range(4), numbers_of))


def _field(line: str) -> tuple[str, str]:
    name, _, value = (part.strip() for part in re.split("([=:])", line, maxsplit=1))
    return name, value


def _opened(header: Header, path: Path) -> tuple[Samples, Geometry]:
    """The layout of the samples, and the geometry."""
    fields = header.fields
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
            f"has {channels} channels and a HeaderSize of {skip}; expected 1 channel or more, and no HeaderSize for "
            "compressed data. Export it again."
        )
    swapped = _true(fields, *BIG_ENDIAN, default=False)
    text = not _true(fields, "BinaryData", default=True)
    samples = Samples(
        files=header.sample_files(path),
        dtype=np.dtype((">" if swapped else "<") + TYPES[kind]),
        sizes=sizes if channels == 1 else (channels, *sizes),
        channels=None if channels == 1 else 0,
        encoding="zlib or gzip" if packed else "text" if text else "raw",
        skip=skip,
        start=header.start,
    )
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), np.ones(n))
    origin = _numbers(fields, ("Offset", "Position", "Origin"), np.zeros(n))
    rows = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), np.eye(n).ravel())
    return samples, geometry(samples, spacing, rows.reshape(n, n).T, origin)


def _true(fields: Mapping[str, str], *keys: str, default: bool) -> bool:
    """Whether the first non-empty of these keys is true; as in MetaIO, only the first letter counts."""
    value = next((fields[key] for key in keys if fields.get(key)), "TF"[not default])
    if value[0] not in "TtYy1FfNn0":
        raise UnreadableFile(f"has {keys[0]} = {value!r}; expected True or False.")
    return value[0] in "TtYy1"


def _numbers(fields: Mapping[str, str], keys: tuple[str, ...], default: np.ndarray) -> np.ndarray:
    """The numbers of the first of these keys that the header has."""
    key = next((key for key in keys if key in fields), None)
    if key is None:
        return default
    numbers = np.array([float(word) for word in fields[key].split()])
    if numbers.shape != default.shape or not np.isfinite(numbers).all():
        raise UnreadableFile(f"has {key} = {fields[key]!r}; expected {default.size} numbers.")
    return numbers


# An .mhd file is written with its pixels inside ("ElementDataFile = LOCAL"), because a second file can get lost.
metaimage = format_of(
    about="MetaImage: 2D images and volumes of any depth with their place in the patient.",
    suffixes=(".mha", ".mhd"),
    begins=lambda head: re.match(rb"\s*(ObjectType|Comment|NDims)\s*=", head) is not None,
    header=_header,
    opened=_opened,
)
