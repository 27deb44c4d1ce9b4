"""NRRD, read from its header and its samples, written by SimpleITK."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from delineate.core import Geometry
from delineate.files._format import UnreadableFile
from delineate.files._header import Header, named_files, read_header
from delineate.files._samples import MOST_AXES, Samples, format_of, geometry

FIELDS = {
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "centerings": "centers",
}
"""Alternative spellings of field names -> the usual one."""
TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
CODES = {name: code for code, names in TYPES.items() for name in names.split(", ")}
ORDERS = {"little": "<", "big": ">"}
ENCODINGS = {
    "raw": "raw",
    "txt": "text", "text": "text", "ascii": "text",
    "hex": "hex",
    "gz": "gzip", "gzip": "gzip",
    "bz2": "bzip2", "bzip2": "bzip2",
}  # fmt: skip
DOMAIN = ("domain", "space", "time", "none", "???")
"""Kinds of axes that are spatial or temporal; other kinds are axes of components."""
TO_LPS = {
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
}  # fmt: skip
"""Spaces with patient axes -> signs that convert them to LPS; other spaces are not converted, as in ITK."""
IN_SPACE = ("scanner-xyz", "3d-right-handed", "3d-left-handed")


def _header(path: Path) -> Header:
    header = read_header(path, _field, "data file", ends_with_it=False)
    value = header.fields.get("data file")
    if value is None or header.names is not None:
        return header
    return replace(
        header,
        names=named_files(value, (3, 4), lambda numbers: (numbers[0], numbers[1], numbers[2])),
    )


def _field(line: str) -> tuple[str, str] | None:
    """The field of a line, with its usual name in lower case; None for the magic, comments and user keys."""
    name, _, value = line.partition(":")
    if line.startswith(("#", "NRRD")) or value.startswith("="):
        return None
    name = name.strip().lower()
    return FIELDS.get(name, name), value.strip()


def _opened(header: Header, path: Path) -> tuple[Samples, Geometry]:
    """The layout of the samples, and the geometry."""
    fields = header.fields
    dtype = CODES.get(fields.get("type", "").lower())
    encoding = ENCODINGS.get(fields.get("encoding", "").lower())
    if dtype is None or encoding is None:
        raise UnreadableFile(
            f"has samples of type {fields.get('type')!r} in encoding {fields.get('encoding')!r}; expected numbers, "
            "raw, as text, or compressed by gzip or bzip2. Export it again."
        )
    endian = ORDERS.get(fields.get("endian", "").lower())
    if endian is None and dtype[1] != "1" and encoding != "text":
        raise UnreadableFile("does not state the byte order of its samples. Export it again.")
    sizes = tuple(int(n) for n in fields.get("sizes", "").split())
    if len(sizes) != int(fields.get("dimension", "0")) or len(sizes) > MOST_AXES:
        raise UnreadableFile(
            f"has sizes {sizes} for {fields.get('dimension')} dimensions; expected a size for each, "
            f"at most {MOST_AXES}. Export it again."
        )
    skip = int(fields.get("byte skip", "0"))
    if skip < -1 or (skip == -1 and encoding != "raw"):
        raise UnreadableFile(f"skips {skip} bytes of {encoding} samples. Export it again.")
    samples = Samples(
        files=header.sample_files(path),
        dtype=np.dtype((endian or "=") + dtype),
        sizes=sizes,
        channels=_channels(fields, sizes),
        encoding=encoding,
        skip=skip,
        start=header.start,
        lines=int(fields.get("line skip", "0")),
    )
    return samples, geometry(samples, *_place(fields, samples))


def _channels(fields: Mapping[str, str], sizes: tuple[int, ...]) -> int | None:
    """The axis of components: by its kind, else the axis without a direction in space; None if there is none."""
    kinds = fields.get("kinds", "").lower().split()
    found = [axis for axis, kind in enumerate(kinds) if kind not in DOMAIN]
    if not kinds:
        found = [axis for axis, vector in enumerate(_vectors(fields)) if vector is None]
    if len(found) > 1 or (kinds and len(kinds) != len(sizes)):
        raise UnreadableFile(
            f"has axes of kinds {kinds} and sizes {sizes}; expected at most one of components. Split it first."
        )
    return found[0] if found else None


def _vectors(fields: Mapping[str, str]) -> list[tuple[float, ...] | None]:
    """The space direction of each axis; None for an axis without one."""
    found = re.findall(r"\(([^()]*)\)|none", fields.get("space directions", ""), re.IGNORECASE)
    return [_numbers(text.replace(",", " ")) if text else None for text in found]


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split())


def _place(
    fields: Mapping[str, str], samples: Samples
) -> tuple[tuple[float, ...], np.ndarray, tuple[float, ...]]:
    """Spacing, direction and origin in LPS, as in ITK."""
    n = len(samples.grid)
    axes = [axis for axis in range(len(samples.sizes)) if axis != samples.channels]
    space = fields.get("space", "").lower().removesuffix("-time")
    if not space and "space dimension" not in fields:
        spacing, origin = _along_axes(fields, axes)
        return spacing, np.eye(n), origin
    dimension = int(fields.get("space dimension", "0")) or 3
    if space and space not in (*TO_LPS, *IN_SPACE):
        raise UnreadableFile(f"has the unknown space {space!r}. Export it again, in LPS or RAS.")
    flips = np.array(TO_LPS.get(space, (1,) * dimension))
    vectors = _vectors(fields)
    origin = _numbers(re.sub("[(),]", " ", fields.get("space origin", ""))) or (0.0,) * dimension
    if vectors and len(vectors) != len(samples.sizes):
        raise UnreadableFile(f"has {len(vectors)} space directions for {len(samples.sizes)} axes.")
    default = list(map(tuple, np.diag(flips)))  # along the patient's axes, as in ITK
    steps = [vectors[axis] for axis in axes] if vectors else default
    if (
        n != dimension
        or len(origin) != dimension
        or any(s is None or len(s) != dimension for s in steps)
    ):
        raise UnreadableFile(
            f"has {n} axes in a space of {dimension} dimensions, with directions {steps} and origin {origin}; "
            "expected as many of each. Export it again."
        )
    columns = np.array(steps, dtype=np.float64).T
    spacing = np.linalg.norm(columns, axis=0)
    direction = flips[:, None] * columns / np.where(spacing == 0, 1, spacing)
    return tuple(spacing), direction, tuple(flips * origin)


def _along_axes(
    fields: Mapping[str, str], axes: list[int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Spacing and origin of a file without a space, from the fields of each axis."""

    def of(name: str) -> list[float]:
        values = _numbers(fields.get(name, ""))
        return [values[axis] if axis < len(values) else math.nan for axis in axes]

    spacing = [1.0 if math.isnan(step) else step for step in of("spacings")]
    first = of("axis mins")
    if any(math.isnan(value) for value in first):
        return tuple(spacing), (0.0,) * len(axes)
    centers = fields.get("centers", "").lower().split()
    node = [axis < len(centers) and centers[axis] == "node" for axis in axes]
    origin = [
        low if at else low + step / 2 for low, step, at in zip(first, spacing, node, strict=True)
    ]
    return tuple(spacing), tuple(origin)


nrrd = format_of(
    about="NRRD: 2D images and volumes of any depth with their place in the patient.",
    suffixes=(".nrrd",),
    begins=lambda head: head.startswith(b"NRRD000"),
    header=_header,
    opened=_opened,
)
