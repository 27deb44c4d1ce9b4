"""The interface of a file format, and the detection of the format of a file."""

from __future__ import annotations

import math
import stat
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from delineate.core import Geometry, Image, Segmentation
from delineate.resolve import names, resolve

MOST_SAMPLES = 1_000_000_000
"""Maximum number of grid samples, checked before decoding; a photograph of 20000 x 20000 has 40 % of it."""

MOST_BYTES = 4 << 30
"""Maximum memory for decoding one file: all channels in their dtype, and the copies of the decoder.

An RGB photograph of 20000 x 20000 needs 2.2 GiB, a CT of 512 x 512 x 2000 needs 1 GiB."""


class UnreadableFile(ValueError):  # noqa: N818 (the name describes the file)
    """A file cannot be read as an image. The message names the file, the problem, and what to do."""


@dataclass(frozen=True)
class Series:
    """One series of a folder, such as one scan of a DICOM study.

    uid: its unique identifier.
    description: in words; "" if the files have none.
    modality: such as "CT".
    files: the files of its images, by name.
    """

    uid: str
    description: str
    modality: str
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Format:
    """A file format: its detection, readers and writers.

    about: the format in one line; also the docstring of the object.
    suffixes: endings in lower case, the usual one first.
    begins: whether the first bytes of a file, after gzip decompression, are those of this format.
    read_geometry: reads the geometry from the header.
    read: reads pixels for display: palettes as RGB.
    read_mask: reads pixels as stored: palettes as indices.
    write, write_mask: write a file through `whole_file`. None if the format cannot be written, or, for masks, if it
        would change their values.
    write_like: as `write`, with a file on the same grid as third argument, whose full position header is copied; None
        if a format has no more than the grid.
    data_files: the file and the data files that its header names, all checked; most formats have one file.
    volumes: whether one file or folder can hold a volume.
    holds: whether a folder is an image of this format; its readers then accept the folder. For most formats none is.
    series_in: the series in such a folder.
    axes: the order of the spatial axes of its arrays: "zyx" for slices, rows and columns, as on a screen; "xyz" for
        columns, rows and slices, as in ITK and NIfTI.

    Readers may raise any error of their library; `read_image`, `read_mask` and `read_geometry` convert it.
    """

    about: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    read_geometry: Callable[[Path], Geometry]
    read: Callable[[Path], Image]
    read_mask: Callable[[Path], Image]
    write: Callable[[Image, Path], None] | None = None
    write_mask: Callable[[Segmentation, Path], None] | None = None
    write_like: Callable[[Image, Path, Path], None] | None = None
    data_files: Callable[[Path], tuple[Path, ...]] = lambda path: (path,)
    volumes: bool = False
    holds: Callable[[Path], bool] = lambda folder: False
    series_in: Callable[[Path], list[Series]] = lambda folder: []
    axes: Literal["xyz", "zyx"] = "zyx"

    def __post_init__(self) -> None:
        object.__setattr__(self, "__doc__", self.about)


def as_image(write: Callable[[Image, Path], None]) -> Callable[[Segmentation, Path], None]:
    """The mask writer of a format that stores a label map as an image of one channel."""

    def write_mask(segmentation: Segmentation, path: Path) -> None:
        write(Image(segmentation.classes[None], segmentation.geometry), path)

    return write_mask


def check_size(shape: Sequence[int], bytes_per_sample: int) -> None:
    """Refuse a grid that is too large to decode safely.

    Args:
        shape: the spatial shape.
        bytes_per_sample: memory per grid sample: all channels in their dtype, and the copies of the decoder.

    Raises:
        UnreadableFile: more than `MOST_SAMPLES`, or more than `MOST_BYTES`.
    """
    grid = f"has {' x '.join(str(n) for n in shape)} samples"
    do = "Crop or downsample it first."
    if math.prod(shape) > MOST_SAMPLES:
        raise UnreadableFile(f"{grid}; at most {MOST_SAMPLES:.0e} are read. {do}")
    if math.prod(shape) * bytes_per_sample > MOST_BYTES:
        raise UnreadableFile(
            f"{grid} of {bytes_per_sample} bytes (all channels, and memory for decoding); "
            f"at most {MOST_BYTES / 2**30:g} GiB are decoded. {do}"
        )


def file_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UnreadableFile: the file is larger than `MOST_BYTES`.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UnreadableFile(
            f"has {size} bytes; at most {MOST_BYTES / 2**30:g} GiB are read. Make it smaller first."
        )
    return path.read_bytes()


def check_packing(declared: int, stored: int, most: int) -> None:
    """Refuse a file that is too short for the pixels it declares, before memory for them is allocated.

    Args:
        declared: bytes of pixels according to the header.
        stored: bytes of the file.
        most: maximum compression ratio of the format: bytes of pixels per stored byte.

    Raises:
        UnreadableFile: the file cannot contain so many pixels.
    """
    if declared > most * stored:
        raise UnreadableFile(
            f"declares {declared} bytes of pixels, but its {stored} bytes can hold {most * stored} at most. "
            "It is truncated or malicious. Copy, download or export it again."
        )


def image_suffixes() -> frozenset[str]:
    """Every ending that can be read, in lower case; ".nii.gz" is one.

    >>> {".png", ".jpg", ".nii.gz"} <= image_suffixes()
    True
    """
    return frozenset(suffix for form in formats() for suffix in form.suffixes)


def mask_suffix(path: str | Path) -> str:
    """The ending for a mask of this image: the image's own, or another one if masks cannot be written in its format.

    It is then ".png" for an image of 2 axes, and ".nii.gz" for a volume, such as a folder with a DICOM series. Only
    for formats that may hold volumes the header is read.

    >>> mask_suffix("a.JPG"), mask_suffix("b.nii.gz"), mask_suffix("c.tif")
    ('.png', '.nii.gz', '.tif')

    Raises:
        UnreadableFile: both the ending and the content are unknown.
    """
    if is_image_folder(path):
        return ".nii.gz"
    form, suffix = by_ending(path)
    if form is None:
        form = by_content(Path(path))
        suffix = form.suffixes[0]
    if form.write_mask:
        return suffix
    if not form.volumes:
        return ".png"
    try:
        return ".nii.gz" if form.read_geometry(Path(path)).ndim == 3 else ".png"
    except (
        Exception
    ):  # each library has its own exceptions; reading the image raises this one again
        return ".png"


@cache
def formats() -> tuple[Format, ...]:
    """Every format, by name."""
    return tuple(cast(Format, resolve("formats", name)) for name in names("formats"))


def by_ending(path: str | Path) -> tuple[Format | None, str]:
    """The format of a file name, and its ending; None and "" for an unknown ending."""
    name = Path(path).name.lower()
    matches = [(s, form) for form in formats() for s in form.suffixes if name.endswith(s)]
    suffix, form = max(matches, key=lambda pair: len(pair[0]), default=("", None))
    return form, suffix


def by_content(path: Path) -> Format:
    """The format of a file, from its content; or of a folder that is one image, such as a DICOM series.

    Raises:
        UnreadableFile: missing, neither a file nor such a folder, empty, or of unknown format.
    """
    if path.is_dir() or is_image_folder(path):
        return _of_folder(path)
    head = _head(path)
    for form in formats():
        if form.begins(head):
            return form
    raise UnreadableFile(f"{path}: {_words(head)}")


def is_image_folder(path: str | Path) -> bool:
    """Whether this is a folder whose files together are one image, or several, such as DICOM series.

    It looks at the first bytes of files until it finds one, in the folder itself and not below. A path
    folder/SeriesInstanceUID names one of several series in a folder.
    """
    path = Path(path)
    try:
        return not path.is_file() and any(form.holds(path) for form in formats())
    except OSError:
        return False


def _of_folder(path: Path) -> Format:
    try:
        for form in formats():
            if form.holds(path):
                return form
    except OSError as error:
        raise UnreadableFile(
            f"{path}: cannot be opened ({error.strerror}). Is it a folder you may read?"
        ) from error
    raise UnreadableFile(
        f"{path}: is a folder without DICOM files, so it is not an image. Give a file, or the folder of one series."
    )


def _head(path: Path) -> bytes:
    """The first bytes of a file, after gzip decompression."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile(
                f"{path}: is not a regular file but a pipe or a device. Copy its content to a file first."
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
            # Only as much as the NIfTI header: further on, a wrong checksum would prevent the detection.
            return zlib.decompressobj(wbits=31).decompress(head, 352)
        except zlib.error:
            return head
    return head


def _words(head: bytes) -> str:
    """The message for a file of unknown format."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    readable = f"Endings that can be read: {' '.join(sorted(image_suffixes()))}."
    if not head:
        return "is empty (0 bytes). Copy, download or export it again."
    if start[:14].lower().startswith((b"<!doctype html", b"<html")):
        return (
            "is a web page (HTML), not an image. Download it again; the address may have expired."
        )
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return f"is text that begins with {start[:24].decode('utf-8', 'replace')!r}. {readable}"
    return f"has an unknown format; it begins with the bytes {head[:8].hex(' ')}. {readable}"
