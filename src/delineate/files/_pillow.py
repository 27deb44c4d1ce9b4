"""What Pillow reads."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delineate.core import Geometry, Image
from delineate.files._format import UnreadableFile, check_size
from delineate.files._orient import upright_shape
from delineate.files._pixels import photo

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFile

ORIENTATION = 0x0112


@contextmanager
def opened(plugin: str, source: Path | bytes) -> Iterator[PIL.ImageFile.ImageFile]:
    """A picture whose header was read and whose pixels were not; `plugin` is Pillow's name, as "Gif".

    The plugin is asked by name, not through `PIL.Image.open`: the content has decided the format, and Pillow's
    limit on size, which is global and only warns, gives way to ours.
    """
    module = import_module(f"PIL.{plugin}ImagePlugin")
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with getattr(module, f"{plugin}ImageFile")(stream) as picture:
        check_size(picture.size[::-1])
        frames = getattr(picture, "n_frames", 1)
        if plugin != "Tiff" and frames > 1:
            raise UnreadableFile(
                f"holds {frames} frames; expected one. Save the frame that is meant."
            )
        yield picture


def geometry(plugin: str, path: Path) -> Geometry:
    """The grid of a picture once it is upright."""
    with opened(plugin, path) as picture:
        columns, rows = picture.size
        return Geometry.in_pixels(upright_shape((rows, columns), orientation(picture)))


def image(plugin: str, path: Path) -> Image:
    """A picture as a person sees it."""
    with opened(plugin, path) as picture:
        return photo(colours(picture), orientation(picture))


def mask(plugin: str, path: Path) -> Image:
    """A picture as it is stored."""
    with opened(plugin, path) as picture:
        return photo(values(picture), orientation(picture))


def colours(picture: PIL.Image.Image) -> np.ndarray:
    """(row, column) grey or (row, column, 3) RGB."""
    # With alpha, as a palette with transparency can only be so converted without a warning.
    return values(picture.convert("RGBA") if picture.mode in ("P", "PA") else picture)


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
    """The EXIF orientation, 1 where none is given or its block is damaged."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except (SyntaxError, ValueError, TypeError, struct.error):
        return 1
