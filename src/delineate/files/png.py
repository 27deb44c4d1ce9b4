"""PNG, by OpenCV where samples are 8 or 16 bits and by Pillow where they are fewer or a palette's."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delineate.core import Geometry, Image, Segmentation
from delineate.files import _opencv, _pillow
from delineate.files._format import Format, UnreadableFile, check_size
from delineate.files._orient import upright_shape
from delineate.files._pixels import only, photo, rows_and_columns
from delineate.files._whole_file import whole_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE, GREY_ALPHA = 0, 3, 4


@dataclass(frozen=True)
class _Header:
    """The chunk IHDR (PNG specification, 11.2.1), and the orientation."""

    rows: int
    columns: int
    bits: int
    colour: int
    orientation: int


def _header(data: bytes) -> _Header:
    if data[12:16] != b"IHDR" or b"IEND" not in data[-(1 << 16) :]:
        raise UnreadableFile("is a PNG that was cut short. Copy, download or export it again.")
    columns, rows, bits, colour = struct.unpack(">IIBB", data[16:26])
    check_size((rows, columns))
    orientation = 1
    if b"eXIf" in data:  # asking Pillow of every file would decode every file
        with _pillow.opened("Png", data) as picture:
            orientation = _pillow.orientation(picture)
    return _Header(rows, columns, bits, colour, orientation)


def _read_geometry(path: Path) -> Geometry:
    header = _header(path.read_bytes())
    return Geometry.in_pixels(upright_shape((header.rows, header.columns), header.orientation))


def _read(path: Path) -> Image:
    data = path.read_bytes()
    header = _header(data)
    if header.colour != PALETTE:
        return photo(_samples(data, header), header.orientation)
    with _pillow.opened("Png", data) as picture:
        return photo(_pillow.colours(picture), header.orientation)


def _read_mask(path: Path) -> Image:
    data = path.read_bytes()
    header = _header(data)
    return photo(_samples(data, header), header.orientation)


def _samples(data: bytes, header: _Header) -> np.ndarray:
    """Pixels as they are stored."""
    if header.bits >= 8 and header.colour != PALETTE:
        return _opencv.decode(data, grey=header.colour in (GREY, GREY_ALPHA))
    with _pillow.opened("Png", data) as picture:
        pixels = _pillow.values(picture)
    if header.colour == GREY and header.bits in (2, 4):
        pixels //= 255 // (2**header.bits - 1)  # Pillow spreads these over 0 to 255
    return pixels


def _write(image: Image, path: Path) -> None:
    import PIL.Image

    pixels = only(rows_and_columns(image, "PNG"), ("uint8", "uint16"), "PNG")
    if pixels.ndim == 3 and pixels.dtype == np.uint16:
        with whole_file(path) as part:
            part.write_bytes(_opencv.encode(pixels, ".png"))
        return
    with whole_file(path) as part:
        PIL.Image.fromarray(pixels).save(part, "PNG")


def _write_mask(segmentation: Segmentation, path: Path) -> None:
    import PIL.Image

    image = Image(segmentation.classes[None], segmentation.geometry)
    if segmentation.classes.dtype != np.uint8:  # more than a palette has places
        _write(image, path)
        return
    colours = np.zeros((256, 3), dtype=np.uint8)
    for label in segmentation.labels.labels:
        colours[label.value] = label.rgb
    picture = PIL.Image.fromarray(rows_and_columns(image, "PNG"))
    picture.putpalette(colours.tobytes())  # a grey picture with a palette is one of indices
    with whole_file(path) as part:
        picture.save(part, "PNG")


png = Format(
    about="PNG: 1 to 16 bits, grey, RGB or palette; masks are palettes of the labels' colours.",
    suffixes=(".png",),
    begins=lambda head: head.startswith(SIGNATURE),
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read_mask,
    write=_write,
    write_mask=_write_mask,
)
