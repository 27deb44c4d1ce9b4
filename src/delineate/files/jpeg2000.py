"""JPEG 2000, by Pillow (OpenJPEG), and by OpenCV above eight bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from delineate.core import Image
from delineate.files import _opencv, _pillow
from delineate.files._format import Format, file_bytes
from delineate.files._pixels import photo

FILE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"


def _read(path: Path) -> Image:
    return _deep(path, _pillow.image)


def _read_mask(path: Path) -> Image:
    return _deep(path, _pillow.mask)


def _deep(path: Path, shallow: Callable[[str, Path], Image]) -> Image:
    data = file_bytes(path)
    siz = data[data.find(CODESTREAM) :][:43]  # the marker segment SIZ, ISO/IEC 15444-1, A.5.1
    channels, bits = int.from_bytes(siz[40:42], "big"), (siz[42] & 0x7F) + 1
    if bits <= 8:
        return shallow("Jpeg2K", path)
    with _pillow.opened("Jpeg2K", data):  # the size is checked before anything is decoded
        return photo(_opencv.decode(data, grey=channels < 3))


jpeg2000 = Format(
    about="JPEG 2000: 8 or 16 bits, grey or RGB; read only.",
    suffixes=(".jp2", ".j2k"),
    begins=lambda head: head.startswith((FILE, CODESTREAM)),
    read_geometry=partial(_pillow.geometry, "Jpeg2K"),
    read=_read,
    read_mask=_read_mask,
)
