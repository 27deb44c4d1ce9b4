"""Decode with Pillow."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delineate.core import Geometry, Image
from delineate.files._format import UnreadableFile, check_packing, check_size
from delineate.files._pixels import photo, upright_shape

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFile

ORIENTATION = 0x0112
MEMORY = {"1": 4, "L": 4, "P": 8, "I;16": 8, "RGB": 12}
"""Memory per pixel while decoding, in bytes: Pillow's picture, its bytes, and the array."""
WORKING = {"Jpeg2K": 12, "WebP": 10, "Jpeg": 8}
"""Additional memory per pixel in the decoder of the plugin, in bytes."""


@contextmanager
def opened(
    plugin: str, source: Path | bytes, *, packing: int = 0, decodes: bool = True
) -> Iterator[PIL.ImageFile.ImageFile]:
    """Open a picture: the header is read, the pixels are not. `plugin` is Pillow's name of the format, as "Gif".

    decodes: whether the pixels will be decoded; if so, the size is checked.
    packing: maximum number of pixels per byte of the file; 0 for no limit.

    The plugin is loaded by name, not through `PIL.Image.open`, because the format is already known from the content.
    This also replaces Pillow's global size limit, which only warns, by ours.
    """
    module = import_module(f"PIL.{plugin}ImagePlugin")
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with getattr(module, f"{plugin}ImageFile")(stream) as picture:
        if decodes:
            check_size(picture.size[::-1], MEMORY.get(picture.mode, 16) + WORKING.get(plugin, 0))
        if packing:
            stored = len(source) if isinstance(source, bytes) else source.stat().st_size
            check_packing(picture.width * picture.height, stored, packing)
        frames = getattr(picture, "n_frames", 1)
        if plugin != "Tiff" and frames > 1:
            raise UnreadableFile(
                f"holds {frames} frames; expected one. Save the frame you need as a file."
            )
        yield picture


def geometry(plugin: str, path: Path, *, packing: int = 0) -> Geometry:
    """The grid of a picture after its EXIF orientation is applied."""
    with opened(plugin, path, packing=packing) as picture:
        columns, rows = picture.size
        return Geometry.in_pixels(upright_shape((rows, columns), orientation(picture)))


def image(plugin: str, path: Path, *, packing: int = 0) -> Image:
    """A picture for display: palettes as RGB."""
    with opened(plugin, path, packing=packing) as picture:
        return photo(colours(picture), orientation(picture))


def mask(plugin: str, path: Path, *, packing: int = 0) -> Image:
    """A picture as stored: palettes as indices."""
    with opened(plugin, path, packing=packing) as picture:
        return photo(values(picture), orientation(picture))


def colours(picture: PIL.Image.Image) -> np.ndarray:
    """(row, column) grey or (row, column, 3) RGB."""
    if picture.mode != "P":
        # Through RGBA: Pillow converts a palette with transparency to RGB only with a warning.
        return values(picture.convert("RGBA") if picture.mode == "PA" else picture)
    given = bytes(picture.getpalette("RGB") or b"")
    return np.asarray(palette(given)[np.asarray(picture)])


def palette(given: bytes) -> np.ndarray:
    """The palette as 256 colours, (256, 3); missing entries are grey, as in Pillow."""
    colours = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    first = np.frombuffer(given, np.uint8)[: 3 * 256].reshape(-1, 3)
    colours[: len(first)] = first
    return colours


def values(picture: PIL.Image.Image) -> np.ndarray:
    """(row, column) grey, 0/1 or palette indices, or (row, column, 3) RGB."""
    if picture.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        picture = picture.convert("RGB")
    pixels = np.asarray(picture)
    if picture.mode in ("LA", "La", "PA"):
        pixels = pixels[..., 0]
    if pixels.ndim == 3:
        pixels = pixels[..., :3]
    return np.array(pixels, dtype=np.uint8 if pixels.dtype == bool else None, order="C")


def orientation(picture: PIL.Image.Image) -> int:
    """The EXIF orientation; 1 if it is missing or its block is damaged."""
    return _orientation(picture.getexif)


def exif_orientation(block: bytes) -> int:
    """The orientation in an EXIF block; 1 if it is missing or the block is damaged."""
    import PIL.Image

    def parsed() -> PIL.Image.Exif:
        exif = PIL.Image.Exif()
        exif.load(block)
        return exif

    return _orientation(parsed)


def _orientation(exif: Callable[[], PIL.Image.Exif]) -> int:
    try:
        return int(exif().get(ORIENTATION, 1))
    except (SyntaxError, ValueError, TypeError, struct.error):
        return 1
