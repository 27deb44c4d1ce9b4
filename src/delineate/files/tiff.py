"""TIFF, by tifffile; compressions that tifffile does not decode by libtiff (Pillow, OpenCV)."""

from __future__ import annotations

import importlib.util
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Geometry, Image
from delineate.files import _opencv, _pillow
from delineate.files._format import (
    Format,
    UnreadableFile,
    as_image,
    check_packing,
    check_size,
    file_bytes,
)
from delineate.files._pixels import upright
from delineate.files._unpack import AGAIN
from delineate.files._whole_file import whole_file

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SINGLE_SHEETS = "ZIQ"  # pages of a stack: depth, a plain sequence, and "other"
MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE = 0, 1, 2, 3
ALPHA = (
    1,
    2,
)  # values of the tag ExtraSamples: associated and unassociated alpha; 0 is unspecified data
ORIENTATION = 274
XMP = 700  # tags below it are those of the TIFF specification, which describe the samples
NONE, LZW, PACKBITS = 1, 5, 32773
DEFLATE = (8, 32946, 50013)
PACKING = {NONE: 8, LZW: 8 * 4096, PACKBITS: 8 * 64, **dict.fromkeys(DEFLATE, 8 * 1032)}
"""Maximum compression ratio by compression; samples of 1 bit become 8 bits."""
SPARE = 1 << 24
"""Bytes that a segment may exceed its length by: the last one may be padded to the length of the others."""


@dataclass(frozen=True)
class _Stored:
    """Pixels as stored in the file; `axes` has one letter per axis, as in tifffile."""

    pixels: np.ndarray
    axes: str

    def upright(self, orientation: int) -> _Stored:
        rows, columns = self.axes.index("Y"), self.axes.index("X")
        return _Stored(upright(self.pixels, orientation, (rows, columns)), self.axes)

    def image(self) -> Image:
        channel = [i for i, axis in enumerate(self.axes) if axis in "SC"]
        pixels = np.moveaxis(self.pixels, channel[0], 0) if channel else self.pixels[None]
        return Image(pixels, Geometry.in_pixels(pixels.shape[1:]))


def _read_geometry(path: Path) -> Geometry:
    with _opened(path) as tiff:
        shape, axes = _layout(tiff)
        page = tiff.pages[0]
        if _orientation(page) in (5, 6, 7, 8):
            i, j = axes.index("Y"), axes.index("X")
            shape = tuple(shape[{i: j, j: i}.get(k, k)] for k in range(len(shape)))
    return Geometry.in_pixels([n for n, axis in zip(shape, axes, strict=True) if axis not in "SC"])


def _read(path: Path) -> Image:
    return _decode(path, _as_colours, _pillow.colours)


def _read_mask(path: Path) -> Image:
    return _decode(path, lambda stored, page: stored, _pillow.values)


def _decode(
    path: Path,
    see: Callable[[_Stored, Any], _Stored],
    see_with_pillow: Callable[[Any], np.ndarray],
) -> Image:
    with _opened(path) as tiff:
        shape, axes = _layout(tiff)
        _check_segments(tiff.series[0])
        page: Any = tiff.pages[0]
        if _by_tifffile(page):
            pixels = tiff.series[0].asarray().reshape(shape)
            stored = see(_black_is_zero(_Stored(pixels, axes), page), page)
            return _without_alpha(stored, page).upright(_orientation(page)).image()
        deep = page.samplesperpixel > 1 and page.bitspersample > 8
    sheets = _by_opencv(path) if deep else _by_pillow(path, see_with_pillow)
    lead = [(axis, n) for axis, n in zip(axes, shape, strict=True) if axis not in "YXS"]
    pixels = np.stack(sheets)
    pixels = pixels.reshape(*(n for _, n in lead), *pixels.shape[1:])
    letters = "".join(axis for axis, _ in lead) + "YXS"[: sheets[0].ndim]
    return _Stored(pixels, letters).image()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file with tifffile, without the other files that its header may name."""
    import tifffile

    codecs: Any = tifffile.TIFF.DECOMPRESSORS
    if not importlib.util.find_spec("imagecodecs"):  # imagecodecs limits the output size itself
        codecs._codecs.update(dict.fromkeys(DEFLATE, _inflated) | {PACKBITS: _unpacked_bits})
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        if tiff.is_ndtiff or tiff.is_mmstack:
            raise UnreadableFile(
                "is a Micro-Manager TIFF, which may continue in other files. Export it as one plain TIFF."
            )
        if tiff.is_ome and tiff.series[0].kind != "ome":
            raise UnreadableFile(
                "is an OME-TIFF that names other files, or whose description is damaged; only images within one "
                "file are read. Save it as one file."
            )
        yield tiff


def _inflated(data: bytes, /, *, out: int) -> bytes:
    """Inflate a segment, up to the maximum length of a segment."""
    unpacker = zlib.decompressobj()
    inflated = unpacker.decompress(data, out + SPARE)
    if not unpacker.eof:
        raise UnreadableFile(
            f"has a segment that is truncated, or unpacks to more than its {out} bytes. {AGAIN}"
        )
    return inflated


def _unpacked_bits(data: bytes, /, *, out: int) -> bytes:
    """Decode PackBits (TIFF 6.0, section 9), up to the maximum length of a segment."""
    unpacked, at = bytearray(), 0
    while at < len(data):
        count = data[at]
        if count < 128:
            unpacked += data[at + 1 : at + 2 + count]
            at += 2 + count
        else:
            unpacked += data[at + 1 : at + 2] * (257 - count if count > 128 else 0)
            at += 1 if count == 128 else 2
        if len(unpacked) > out + SPARE:
            raise UnreadableFile(
                f"has a segment that unpacks to more than its {out} bytes. {AGAIN}"
            )
    return bytes(unpacked)


def _check_segments(series: Any) -> None:
    """Refuse a file with missing pages, strips or tiles, which tifffile would fill with zeros."""
    tiff = series.parent
    size = tiff.filehandle.size
    for page in series:
        if page is None:
            raise UnreadableFile(f"has fewer than the {len(series)} pages it declares. {AGAIN}")
        count = 1 if page.keyframe.is_contiguous else math.prod(page.keyframe.chunked)
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:count]
        if len(segments) < count or not all(
            at > 0 and n > 0 and at + n <= size for at, n in segments
        ):
            raise UnreadableFile(f"lacks strips or tiles of page {page.index}. {AGAIN}")
    if _directory(tiff, len(tiff.pages) - 1)[1] != 0:
        raise UnreadableFile(f"declares more pages than it has; it is truncated. {AGAIN}")
    lost = [tag for tag in _directory(tiff, 0)[0] if tag < XMP and tag not in tiff.pages[0].tags]
    if lost:
        raise UnreadableFile(f"has the tags {lost}, whose values cannot be read. {AGAIN}")


def _directory(tiff: Any, page: int) -> tuple[list[int], int]:
    """The tags that a page declares, and the offset of the next page; 0 for the last page."""
    file, kind = tiff.filehandle, tiff.tiff
    file.seek(tiff.pages[page].offset)
    (count,) = struct.unpack(kind.tagnoformat, file.read(kind.tagnosize))
    entries = file.read(count * kind.tagsize)
    codes = [
        int.from_bytes(entries[at : at + 2], "little" if kind.byteorder == "<" else "big")
        for at in range(0, len(entries), kind.tagsize)
    ]
    (following,) = struct.unpack(kind.offsetformat, file.read(kind.offsetsize))
    return codes, int(following)


def _layout(tiff: Any) -> tuple[tuple[int, ...], str]:
    """Shape and axes of the only picture or volume in a file, without axes of length 1 that are not spatial."""
    if not tiff.series:
        raise UnreadableFile("is TIFF without a complete image; it is truncated. Copy it again.")
    if len(tiff.series) > 1:
        raise UnreadableFile(
            f"is TIFF of {len(tiff.series)} images of different sizes; expected one. Save the one you need as a file."
        )
    series = tiff.series[0]
    kept = [(n, a) for n, a in zip(series.shape, series.axes, strict=True) if n > 1 or a in "ZYX"]
    axes = "".join(a for _, a in kept)
    lead = [a for a in axes if a not in "YXSC"]
    if not {"Y", "X"} <= set(axes) or len(lead) > 1 or {"S", "C"} <= set(axes):
        lead = ["?"]
    if any(a not in SINGLE_SHEETS for a in lead):
        raise UnreadableFile(
            f"is TIFF of shape {series.shape} with axes {series.axes}; expected an image or one stack of "
            "them, without time. Split it first."
        )
    channels = math.prod(n for n, a in kept if a in "SC")
    page: Any = tiff.pages[0]
    size = channels * page.dtype.itemsize if page.dtype else channels
    # memory: the array, a copy (no alpha, oriented), a strip of the whole page, palette colours; or libtiff's pages
    colours = 3 if page.photometric == PALETTE else 1
    memory = (2 + (page.compression != NONE)) * size + colours
    memory = memory if _by_tifffile(page) else 2 * size + 8
    grid = [n for n, a in kept if a not in "SC"]
    check_size(grid, memory)
    if page.compression in PACKING:
        check_packing(math.prod(grid) * size, tiff.filehandle.size, PACKING[page.compression])
    return tuple(int(n) for n, _ in kept), axes


def _by_tifffile(page: Any) -> bool:
    """Whether tifffile can decode the page, and its samples need no conversion of colour space."""
    import tifffile

    return (
        page.photometric in (MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE)
        and page.compression in tifffile.TIFF.DECOMPRESSORS
        and page.predictor in tifffile.TIFF.UNPREDICTORS
    )


def _orientation(page: Any) -> int:
    tag = page.tags.get(ORIENTATION)
    return 1 if tag is None else int(tag.value)


def _black_is_zero(stored: _Stored, page: Any) -> _Stored:
    if page.photometric != MIN_IS_WHITE or stored.pixels.dtype.kind not in "ub":
        return stored
    if stored.pixels.dtype.kind == "b":
        return _Stored(~stored.pixels, stored.axes)
    white = stored.pixels.dtype.type(2**page.bitspersample - 1)
    return _Stored(white - stored.pixels, stored.axes)


def _as_colours(stored: _Stored, page: Any) -> _Stored:
    if page.photometric != PALETTE:
        return stored
    colours = (page.colormap.T >> 8).astype(np.uint8)  # the specification has 16 bits per colour
    return _Stored(colours[stored.pixels], stored.axes + "S")


def _without_alpha(stored: _Stored, page: Any) -> _Stored:
    if "S" not in stored.axes or page.photometric == PALETTE:
        return stored
    alpha = sum(extra in ALPHA for extra in page.extrasamples)
    kept = 3 if page.photometric == RGB else page.samplesperpixel - alpha
    axis = stored.axes.index("S")
    if kept == 1:
        return _Stored(stored.pixels.take(0, axis), stored.axes.replace("S", ""))
    part = (slice(None),) * axis + (slice(kept),)
    return _Stored(stored.pixels[part], stored.axes)


def _by_opencv(path: Path) -> list[np.ndarray]:
    return _opencv.decode_all(file_bytes(path))


def _by_pillow(path: Path, see: Callable[[Any], np.ndarray]) -> list[np.ndarray]:
    from PIL import ImageSequence

    with _pillow.opened("Tiff", path) as picture:  # applies the orientation itself
        return [see(sheet) for sheet in ImageSequence.Iterator(picture)]


def _write(image: Image, path: Path) -> None:
    import tifffile

    pixels = image.pixels
    spatial = "ZYX"[-image.geometry.ndim :]
    colour = image.channels == 3 and pixels.dtype.name in ("uint8", "uint16")
    if image.channels == 1:
        pixels, axes = pixels[0], spatial
    elif colour:
        pixels, axes = np.moveaxis(pixels, 0, -1), spatial + "S"
    else:
        axes = "C" + spatial
    with whole_file(path) as part:
        tifffile.imwrite(
            part,
            np.ascontiguousarray(pixels),
            photometric="rgb" if colour else "minisblack",
            compression="zlib",
            metadata={"axes": axes},
        )


tiff = Format(
    about="TIFF: images and stacks of any depth, in any of the usual compressions.",
    suffixes=(".tif", ".tiff"),
    begins=lambda head: head.startswith(MAGIC) and head[128:132] != b"DICM",
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read_mask,
    write=_write,
    write_mask=as_image(_write),
    volumes=True,
)
