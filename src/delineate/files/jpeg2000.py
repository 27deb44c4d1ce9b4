"""JPEG 2000, by Pillow (OpenJPEG), and by OpenCV above eight bits."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

from delineate.core import Image
from delineate.files import _opencv, _pillow
from delineate.files._format import Format, UnreadableFile, file_bytes
from delineate.files._pixels import photo
from delineate.files._unpack import AGAIN

FILE = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
TILE_PART, END = b"\xff\x90", b"\xff\xd9"


def _read(path: Path) -> Image:
    return _deep(path, _pillow.image)


def _read_mask(path: Path) -> Image:
    return _deep(path, _pillow.mask)


def _deep(path: Path, shallow: Callable[[str, Path], Image]) -> Image:
    data = file_bytes(path)
    siz = data[data.find(CODESTREAM) :][:43]  # the marker segment SIZ, ISO/IEC 15444-1, A.5.1
    channels, bits = int.from_bytes(siz[40:42], "big"), (siz[42] & 0x7F) + 1
    _check_tiles(data, siz)
    if bits <= 8:
        return shallow("Jpeg2K", path)
    with _pillow.opened("Jpeg2K", data):  # the size is checked before anything is decoded
        return photo(_opencv.decode(data, grey=channels < 3))


def _check_tiles(data: bytes, siz: bytes) -> None:
    """Refuse a codestream without an end marker or with missing tiles, which OpenJPEG would fill with zeros."""
    columns, rows, _, _, width, height, left, top = struct.unpack(">8I", siz[8:40])
    tiles = -(-(columns - left) // width) * -(-(rows - top) // height)
    seen = set()
    at = data.find(CODESTREAM) + 2
    while (marker := data[at : at + 2]) != END:
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == TILE_PART:  # A.4.2: index of the tile, and its length; 0 means up to the end
            seen.add(int.from_bytes(data[at + 4 : at + 6], "big"))
            length = int.from_bytes(data[at + 6 : at + 10], "big") or data.find(END, at) - at
        if length < 4 or at + length >= len(data):
            raise UnreadableFile(f"is a truncated JPEG 2000. {AGAIN}")
        at += length
    if len(seen) != tiles:
        raise UnreadableFile(f"is JPEG 2000 with {len(seen)} of its {tiles} tiles. {AGAIN}")


jpeg2000 = Format(
    about="JPEG 2000: 8 or 16 bits, grey or RGB; read only.",
    suffixes=(".jp2", ".j2k"),
    begins=lambda head: head.startswith((FILE, CODESTREAM)),
    read_geometry=partial(_pillow.geometry, "Jpeg2K"),
    read=_read,
    read_mask=_read_mask,
)
