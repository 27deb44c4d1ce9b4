"""PNG: samples of 8 or 16 bits by OpenCV; palettes and samples of fewer bits by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delineate.core import Geometry, Image, Segmentation
from delineate.files import _opencv, _pillow
from delineate.files._format import Format, UnreadableFile, check_packing, check_size, file_bytes
from delineate.files._pixels import only, photo, rows_and_columns, upright_shape
from delineate.files._unpack import unpack
from delineate.files._whole_file import whole_file

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE, GREY_ALPHA = 0, 3, 4
GREYS = (GREY, GREY_ALPHA)
SAMPLES = {GREY: 1, 2: 3, PALETTE: 1, GREY_ALPHA: 2, 6: 4}
"""Samples per pixel, by colour type."""
DEPTHS = {
    (colour, bits) for colour in SAMPLES for bits in (8, 16) if (colour, bits) != (PALETTE, 16)
}
DEPTHS |= {(colour, bits) for colour in (GREY, PALETTE) for bits in (1, 2, 4)}
"""Allowed pairs of colour type and bits per sample (PNG specification, table 11.1)."""
ADAM7 = (
    (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1),
)  # fmt: skip
"""First row, first column, row step and column step of each pass."""
MEMORY = {GREY: 5, 2: 8, PALETTE: 8}
"""Memory per pixel of 8 bits while decoding, in bytes, by colour type; OpenCV holds copies with and without alpha."""
DEFLATE = 1032
"""Maximum compression ratio of deflate."""


@dataclass(frozen=True)
class _Header:
    """The chunk IHDR (PNG specification, 11.2.1), the orientation, and the byte ranges of the chunks IDAT and PLTE."""

    rows: int
    columns: int
    bits: int
    colour: int
    interlaced: bool
    orientation: int
    packed: tuple[slice, ...]
    palette: slice

    @property
    def unpacked(self) -> int:
        """Bytes of all rows, each with its filter type (7.2, and 8.2 for Adam7)."""
        passes = ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        bits = self.bits * SAMPLES[self.colour]
        total = 0
        for row, column, down, right in passes:
            rows = -(-(self.rows - row) // down)
            columns = -(-(self.columns - column) // right)
            total += rows * (1 + -(-columns * bits // 8)) if rows > 0 and columns > 0 else 0
        return total


def _header(data: bytes) -> _Header:
    """Parse the chunks of a PNG.

    Raises:
        UnreadableFile: a chunk is truncated, or the checksum of a chunk that affects the pixels is wrong (5.4).
    """
    packed, palette, orientation = [], slice(0, 0), 1
    view = memoryview(data)
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or (at == len(SIGNATURE)) != (kind == b"IHDR"):
            raise UnreadableFile("is a truncated PNG. Copy, download or export it again.")
        body = slice(at + 8, end - 4)
        decides = kind[:1].isupper() or kind == b"eXIf"  # the others are ancillary
        if decides and zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise UnreadableFile(
                f"is a damaged PNG: the checksum of its chunk {kind.decode('latin-1')} is wrong. "
                "Copy, download or export it again."
            )
        if kind == b"IDAT":
            packed.append(body)
        elif kind == b"PLTE":
            palette = body
        elif kind == b"eXIf":
            orientation = _pillow.exif_orientation(data[body])
        elif kind == b"acTL" and int.from_bytes(data[body][:4], "big") > 1:
            raise UnreadableFile(
                "holds several frames; expected one. Save the frame you need as a file."
            )
        at = end
    columns, rows, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    if (colour, bits) not in DEPTHS:
        raise UnreadableFile(
            f"is a PNG of colour type {colour} with {bits} bits, which the PNG specification does not define. "
            "Export it again."
        )
    header = _Header(
        rows, columns, bits, colour, bool(interlaced), orientation, tuple(packed), palette
    )
    check_size((rows, columns), MEMORY.get(colour, 10) * max(bits // 8, 1))
    check_packing(header.unpacked, len(data), DEFLATE)
    return header


def _read_geometry(path: Path) -> Geometry:
    header = _header(file_bytes(path))
    return Geometry.in_pixels(upright_shape((header.rows, header.columns), header.orientation))


def _read(path: Path) -> Image:
    data = file_bytes(path)
    header = _header(data)
    pixels = _samples(data, header)
    if header.colour == PALETTE:
        pixels = _pillow.palette(data[header.palette])[pixels]
    return photo(pixels, header.orientation)


def _read_mask(path: Path) -> Image:
    data = file_bytes(path)
    header = _header(data)
    return photo(_samples(data, header), header.orientation)


def _samples(data: bytes, header: _Header) -> np.ndarray:
    """Pixels as they are stored."""
    if header.bits >= 8 and header.colour != PALETTE:
        return _opencv.decode(data, grey=header.colour in GREYS)
    # Pillow neither verifies the checksum of the samples nor reports missing ones.
    packed = io.BytesIO(b"".join(data[part] for part in header.packed))
    lines = unpack(packed, header.unpacked, "zlib")
    if not header.interlaced:
        rows = lines.reshape(header.rows, -1)
        if not rows[:, 0].any():  # no row is filtered, as the specification recommends here
            return _split(rows[:, 1:], header)
    with _pillow.opened("Png", data) as picture:
        pixels = _pillow.values(picture)
    if header.colour == GREY and header.bits in (2, 4):
        pixels //= 255 // (2**header.bits - 1)  # Pillow scales these to 0 to 255
    return pixels


def _split(rows: np.ndarray, header: _Header) -> np.ndarray:
    """Unpack rows with several samples per byte, the leftmost in the high bits (7.2), to one byte per sample."""
    if header.bits == 8:
        return np.ascontiguousarray(rows)
    shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
    samples = (rows[:, :, None] >> shifts) & np.uint8(2**header.bits - 1)
    return np.ascontiguousarray(samples.reshape(len(rows), -1)[:, : header.columns])


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
    if segmentation.classes.dtype != np.uint8:  # more values than a palette has entries
        _write(image, path)
        return
    colours = np.zeros((256, 3), dtype=np.uint8)
    for label in segmentation.labels.labels:
        colours[label.value] = label.rgb
    picture = PIL.Image.fromarray(rows_and_columns(image, "PNG"))
    picture.putpalette(colours.tobytes())  # turns grey values into palette indices
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
