"""JPEG, by simplejpeg (libjpeg-turbo), and by Pillow where the colours are neither grey nor RGB."""

from __future__ import annotations

from pathlib import Path

import simplejpeg

from delineate.core import Geometry, Image
from delineate.files import _pillow
from delineate.files._format import Format, check_size
from delineate.files._orient import upright_shape
from delineate.files._pixels import only, photo, rows_and_columns
from delineate.files._whole_file import whole_file

QUALITY = 95
PLAIN = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}
"""Colours as stored -> as decoded; CMYK and its kin are left to Pillow."""


def _read_geometry(path: Path) -> Geometry:
    data = path.read_bytes()
    shape, _ = _header(data)
    return Geometry.in_pixels(upright_shape(shape, _orientation(data)))


def _read(path: Path) -> Image:
    data = path.read_bytes()
    _, colours = _header(data)
    if colours not in PLAIN:
        return _by_pillow(data)
    try:
        # Strict, so that a file cut short raises where libjpeg would fill up with grey.
        pixels = simplejpeg.decode_jpeg(data, PLAIN[colours], strict=True)
    except ValueError as error:
        if "extraneous bytes" not in str(error):  # left by some cameras, and harmless
            raise
        return _by_pillow(data)
    return photo(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, _orientation(data))


def _by_pillow(data: bytes) -> Image:
    with _pillow.opened("Jpeg", data) as picture:
        return photo(_pillow.colours(picture), _orientation(data))


def _header(data: bytes) -> tuple[tuple[int, int], str]:
    """(rows, columns), and the colours as stored."""
    try:
        rows, columns, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:  # a chroma subsampling it has no name for
        with _pillow.opened("Jpeg", data) as picture:
            return (picture.height, picture.width), "unknown"
    check_size((rows, columns))
    return (rows, columns), colours


def _orientation(data: bytes) -> int:
    pixels = data.find(b"\xff\xda")  # whatever is said of them is said before
    if (
        data.find(b"Exif\0\0", 0, pixels) < 0
    ):  # Pillow's look at a file costs a tenth of decoding it
        return 1
    with _pillow.opened("Jpeg", data) as picture:
        return _pillow.orientation(picture)


def _write(image: Image, path: Path) -> None:
    pixels = only(rows_and_columns(image, "JPEG"), ("uint8",), "JPEG")
    grey = pixels.ndim == 2
    data = simplejpeg.encode_jpeg(
        pixels[..., None] if grey else pixels,
        quality=QUALITY,
        colorspace="GRAY" if grey else "RGB",
        colorsubsampling="Gray" if grey else "444",
    )
    with whole_file(path) as part:
        part.write_bytes(data)


jpeg = Format(
    about="JPEG: 8 bits, grey, RGB or CMYK; photographs only, as it changes the values of masks.",
    suffixes=(".jpg", ".jpeg"),
    begins=lambda head: head.startswith(b"\xff\xd8\xff"),
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read,
    write=_write,
)
