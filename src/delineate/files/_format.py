"""What a file format is to the rest of the program, and which one a file is in."""

from __future__ import annotations

import math
import stat
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from delineate.core import Geometry, Image, Segmentation
from delineate.resolve import names, resolve

MOST_SAMPLES = 1_000_000_000
"""Larger grids are refused before they are decoded; a photograph of 20000 x 20000 has 0.4 of these."""

MOST_BYTES = 4 << 30
"""What decoding one file may take of memory, all channels in their depth and the decoder's own copies.

A photograph of 20000 x 20000 in RGB takes 2.2 GiB of it, a CT of 512 x 512 x 2000 takes 1."""


class UnreadableFile(ValueError):  # noqa: N818 (it says what the file is)
    """A file that cannot be read as an image; the message names it, says what was found and what to do."""


@dataclass(frozen=True, eq=False)
class Format:
    """One way to keep pixels in a file.

    about: the format in one line; also the docstring of the object.
    suffixes: endings in lower case, the usual one first.
    begins: whether the first bytes of a file, with gzip undone, are those of this format.
    read_geometry: where the image lies, from the header alone.
    read: pixels as a person sees them: palettes as RGB.
    read_mask: pixels as they are stored: palettes as indices.
    write, write_mask: None where the format cannot, or, for masks, where it would damage them.
        Both write through `whole_file`.
    write_mask_like: as `write_mask`, and the file of the image: what that declares of its place is kept; None where
        a format declares no more than the grid.
    data_files: the file and those that its header names, all checked; most formats are one file.

    The readers may raise whatever their library raises; `read_image` and its kin make one error of it.
    """

    about: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    read_geometry: Callable[[Path], Geometry]
    read: Callable[[Path], Image]
    read_mask: Callable[[Path], Image]
    write: Callable[[Image, Path], None] | None = None
    write_mask: Callable[[Segmentation, Path], None] | None = None
    write_mask_like: Callable[[Segmentation, Path, Path], None] | None = None
    data_files: Callable[[Path], tuple[Path, ...]] = lambda path: (path,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.about)


def as_image(write: Callable[[Image, Path], None]) -> Callable[[Segmentation, Path], None]:
    """The mask writer of a format that keeps a label map like any image of one channel."""

    def write_mask(segmentation: Segmentation, path: Path) -> None:
        write(Image(segmentation.classes[None], segmentation.geometry), path)

    return write_mask


def check_size(shape: Sequence[int], bytes_per_sample: int) -> None:
    """Refuse a grid too large to decode safely.

    Args:
        shape: spatial.
        bytes_per_sample: of memory, for one place of the grid: all channels in their depth, and the decoder's copies.

    Raises:
        UnreadableFile: more than `MOST_SAMPLES`, or more than `MOST_BYTES`.
    """
    grid = f"has {' x '.join(str(n) for n in shape)} samples"
    do = "Crop it, or make it smaller, first."
    if math.prod(shape) > MOST_SAMPLES:
        raise UnreadableFile(f"{grid}; at most {MOST_SAMPLES:.0e} are read. {do}")
    if math.prod(shape) * bytes_per_sample > MOST_BYTES:
        raise UnreadableFile(
            f"{grid} of {bytes_per_sample} bytes (all channels, and what decoding takes); "
            f"at most {MOST_BYTES / 2**30:g} GiB are decoded. {do}"
        )


def file_bytes(path: Path) -> bytes:
    """A whole file.

    Raises:
        UnreadableFile: it is larger than `MOST_BYTES`.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableFile(
            f"has {size} bytes; at most {MOST_BYTES / 2**30:g} GiB are read. Make it smaller first."
        )
    return path.read_bytes()


def check_packing(declared: int, stored: int, most: int) -> None:
    """Refuse a file too short for what it declares, before memory is taken for that.

    Args:
        declared: bytes of pixels, by the header.
        stored: bytes of the file.
        most: how many bytes of pixels one stored byte can hold at most, by the format.

    Raises:
        UnreadableFile: the file cannot hold so much.
    """
    if declared > most * stored:
        raise UnreadableFile(
            f"declares {declared} bytes of pixels, and its {stored} bytes hold {most * stored} at most. "
            "It was cut short, or made to take memory. Copy, download or export it again."
        )


def image_suffixes() -> frozenset[str]:
    """Every ending that can be read, in lower case; ".nii.gz" is one.

    >>> {".png", ".jpg", ".nii.gz"} <= image_suffixes()
    True
    """
    return frozenset(suffix for form in formats() for suffix in form.suffixes)


def mask_suffix(path: str | Path) -> str:
    """The ending under which a mask of this image is written: its own, or ".png" where that would do damage.

    >>> mask_suffix("a.JPG"), mask_suffix("b.nii.gz"), mask_suffix("c.tif")
    ('.png', '.nii.gz', '.tif')

    Raises:
        UnreadableFile: the ending is unknown, and so is the content.
    """
    form, suffix = by_ending(path)
    if form is None:
        form = by_content(Path(path))
        suffix = form.suffixes[0]
    return suffix if form.write_mask else ".png"


@cache
def formats() -> tuple[Format, ...]:
    """Every format, by name."""
    return tuple(cast(Format, resolve("formats", name)) for name in names("formats"))


def by_ending(path: str | Path) -> tuple[Format | None, str]:
    """The format that a name asks for, and the ending that says so; None and "" if it asks for none."""
    name = Path(path).name.lower()
    found = [(s, form) for form in formats() for s in form.suffixes if name.endswith(s)]
    suffix, form = max(found, key=lambda pair: len(pair[0]), default=("", None))
    return form, suffix


def by_content(path: Path) -> Format:
    """The format a file is in, whatever its name.

    Raises:
        UnreadableFile: missing, not a file, empty, or in no known format.
    """
    head = _head(path)
    for form in formats():
        if form.begins(head):
            return form
    raise UnreadableFile(f"{path}: {_words(head)}")


def _head(path: Path) -> bytes:
    """The first bytes of a file, with gzip undone."""
    try:
        if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile(
                f"{path}: is not a regular file but a pipe or a device. Copy what it gives to a file first."
            )
        with path.open("rb") as file:
            head = file.read(1024)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise UnreadableFile(
            f"{path}: cannot be opened ({error.strerror}). Is it a file you may read?"
        ) from error
    if head.startswith(b"\x1f\x8b"):
        try:
            # No more than the header of NIfTI: at the end, a wrong checksum would hide what the file is.
            return zlib.decompressobj(wbits=31).decompress(head, 352)
        except zlib.error:
            return head
    return head


def _words(head: bytes) -> str:
    """What a file in no known format is, and what to do."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    readable = f"Endings that can be read: {' '.join(sorted(image_suffixes()))}."
    if not head:
        return "is empty (0 bytes). Copy, download or export it again."
    if start[:14].lower().startswith((b"<!doctype html", b"<html")):
        return (
            "is a web page (HTML), not an image. Download it again; the address may have expired."
        )
    if head[128:132] == b"DICM":
        return f"is DICOM. Convert it, to NIfTI for example. {readable}"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return f"is text that begins with {start[:24].decode('utf-8', 'replace')!r}. {readable}"
    return f"is in no known format; it begins with the bytes {head[:8].hex(' ')}. {readable}"
