"""BMP, by Pillow."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from delineate.core import Image
from delineate.files import _pillow
from delineate.files._format import Format, as_image
from delineate.files._pixels import only, rows_and_columns
from delineate.files._whole_file import whole_file

HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)
"""Sizes of the second header by version; "BM" alone may also begin a text."""


def _begins(head: bytes) -> bool:
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in HEADER_SIZES


def _write(image: Image, path: Path) -> None:
    import PIL.Image

    pixels = only(rows_and_columns(image, "BMP"), ("uint8",), "BMP")
    with whole_file(path) as part:
        PIL.Image.fromarray(pixels).save(part, "BMP")


bmp = Format(
    about="BMP: 8 bits, grey, RGB or palette; masks are grey.",
    suffixes=(".bmp",),
    begins=_begins,
    read_geometry=partial(_pillow.geometry, "Bmp"),
    read=partial(_pillow.image, "Bmp"),
    read_mask=partial(_pillow.mask, "Bmp"),
    write=_write,
    write_mask=as_image(_write),
)
