"""JPEG, by simplejpeg (libjpeg-turbo); colour spaces other than grey and RGB by Pillow."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import simplejpeg

from delineate.core import Geometry, Image
from delineate.files import _pillow
from delineate.files._format import Format, check_packing, check_size, file_bytes
from delineate.files._pixels import only, photo, rows_and_columns, upright_shape
from delineate.files._whole_file import whole_file

QUALITY = 95
PACKING = 64 * 8
"""Maximum pixels per byte: a block of 8 x 8 needs at least one bit."""
MEMORY = {"Gray": 4, "YCbCr": 10, "RGB": 10}
"""Memory per pixel while decoding, in bytes, including the coefficients of progressive files."""
CMYK = ("CMYK", "YCCK")
PLAIN = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}
"""Colour space as stored -> as decoded; others are decoded by Pillow."""


def _read_geometry(path: Path) -> Geometry:
    data = file_bytes(path)
    shape, _ = _header(data)
    return Geometry.in_pixels(upright_shape(shape, _orientation(data)))


def _read(path: Path) -> Image:
    data = file_bytes(path)
    _, colours = _header(data)
    if colours not in PLAIN:
        if colours in CMYK:
            _strict(data, "CMYK")  # for the error: Pillow does not report damage
        return _by_pillow(data)
    pixels = _strict(data, PLAIN[colours])
    return photo(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, _orientation(data))


def _strict(data: bytes, colours: str) -> np.ndarray:
    """Decode the pixels; raises an error where libjpeg would warn of damage and fill with grey."""
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colours, strict=True))
    except ValueError as error:
        plain = _without_padding(data, str(error))
        if plain == data:
            raise
    return np.asarray(simplejpeg.decode_jpeg(plain, colours, strict=True))


def _without_padding(data: bytes, warning: str) -> bytes:
    """Remove the padding that some cameras write before a marker.

    Padding is all 0 or all 255. Other extra bytes are a sign of damage and are kept.
    """
    match = re.search(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})", warning)
    if match is None:
        return data
    marker, count = b"\xff" + bytes.fromhex(match[2]), int(match[1])
    for padding in (b"\0", b"\xff"):
        data = data.replace(padding * count + marker, marker)
    return data


def _by_pillow(data: bytes) -> Image:
    with _pillow.opened("Jpeg", data) as picture:
        return photo(_pillow.colours(picture), _orientation(data))


def _header(data: bytes) -> tuple[tuple[int, int], str]:
    """(rows, columns), and the colour space as stored."""
    try:
        rows, columns, colours, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:  # a chroma subsampling that simplejpeg does not know
        with _pillow.opened("Jpeg", data, packing=PACKING) as picture:
            return (picture.height, picture.width), "unknown"
    check_size((rows, columns), MEMORY.get(colours, 24))
    check_packing(rows * columns, len(data), PACKING)
    return (rows, columns), colours


def _orientation(data: bytes) -> int:
    pixels = data.find(b"\xff\xda")  # metadata come before the pixels
    if (
        data.find(b"Exif\0\0", 0, pixels) < 0
    ):  # saves opening the file with Pillow, which takes a tenth of the decoding time
        return 1
    with _pillow.opened("Jpeg", data, decodes=False) as picture:
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
