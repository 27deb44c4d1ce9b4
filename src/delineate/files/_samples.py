"""What NRRD and MetaImage have in common: samples that follow a text header or lie in files it names.

They are read here, and written by SimpleITK.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from delineate.core import Geometry, Image
from delineate.files._format import Format, UnreadableFile, as_image, check_size
from delineate.files._header import Header
from delineate.files._pixels import NUMBERS, only
from delineate.files._unpack import AGAIN, UNPACKERS, unpack
from delineate.files._whole_file import whole_file

MOST_AXES = 5
LONGEST_NUMBER = 32
"""Bytes of a sample that is written in words, with what separates it from the next."""
WORD_BYTES = 200
"""What such a sample takes while it is read."""


@dataclass(frozen=True)
class Samples:
    """How the samples of an image lie in its files.

    files: where they are; each holds an equal part.
    dtype: of one sample, in the byte order of the file.
    sizes: of each axis, the one that changes fastest first.
    channels: the axis of components, None where a sample is one number.
    encoding: "raw", "text", "hex", or a packing that `unpack` knows.
    skip: bytes of each file before its part, once packed bytes are unpacked; -1 if the part is the last of its file.
    start: bytes of each file, as it is stored, before all this.
    lines: lines of each file after `start`, before all this.
    """

    files: tuple[Path, ...]
    dtype: np.dtype
    sizes: tuple[int, ...]
    channels: int | None = None
    encoding: str = "raw"
    skip: int = 0
    start: int = 0
    lines: int = 0

    @property
    def grid(self) -> tuple[int, ...]:
        """The sizes without the components."""
        return tuple(n for axis, n in enumerate(self.sizes) if axis != self.channels)


def format_of(
    about: str,
    suffixes: tuple[str, ...],
    begins: Callable[[bytes], bool],
    header: Callable[[Path], Header],
    opened: Callable[[Header, Path], tuple[Samples, Geometry]],
) -> Format:
    """A format whose samples follow a text header or lie in files it names, written under its first ending.

    opened: from the header of a file, where the samples are, and where they lie.
    """

    def read(path: Path) -> Image:
        return image(*opened(header(path), path))

    to_file = partial(write, suffix=suffixes[0])
    return Format(
        about=about,
        suffixes=suffixes,
        begins=begins,
        read_geometry=lambda path: opened(header(path), path)[1],
        read=read,
        read_mask=read,
        write=to_file,
        write_mask=as_image(to_file),
        data_files=lambda path: header(path).data_files(path),
    )


def geometry(
    samples: Samples, spacing: ArrayLike, direction: np.ndarray, origin: ArrayLike
) -> Geometry:
    """The grid of an image, given its place as ITK keeps it: spacing, columns of `direction`, and origin, in LPS.

    Raises:
        UnreadableFile: more axes than an image has, too many samples, or axes that do not span the space.
    """
    size = samples.grid
    components = math.prod(samples.sizes) // max(math.prod(size), 1)
    if not 2 <= len(size) <= 4 or (len(size) == 4 and size[3] > 1 and components > 1):
        raise UnreadableFile(
            f"has {len(size)} axes {size} of {components} components; expected a 2D "
            "image or a volume, with components or times. Split it first."
        )
    if min(samples.sizes) < 1:
        raise UnreadableFile(f"has axes of {samples.sizes} samples; expected 1 or more. {AGAIN}")
    n = min(len(size), 3)
    channels = math.prod(samples.sizes) // math.prod(size[:n])
    words = WORD_BYTES if samples.encoding in ("text", "hex") else 0
    check_size(
        size[:n], channels * (2 * samples.dtype.itemsize + words)
    )  # as stored, and as labels
    scale, place = np.array(spacing)[:n], np.array(origin)[:n]
    axes = np.array(direction)[:n, :n]
    if n == 2 and np.all(scale == 1) and np.all(axes == np.eye(2)) and not place.any():
        return Geometry.in_pixels(size)  # ITK's defaults: a picture without physical size
    affine = np.zeros((4, n + 1))
    affine[:n, :n] = axes * scale
    affine[:n, n] = place
    affine[3, n] = 1
    if not np.isfinite(affine).all() or np.linalg.det(affine[:n, :n]) == 0:
        raise UnreadableFile(
            f"has axes that do not span its {n} dimensions (index to patient {affine.tolist()}). "
            "Export it again."
        )
    return Geometry.in_patient(size[:n], affine)


def image(samples: Samples, grid: Geometry) -> Image:
    """Pixels in the order (x, y, z), which is NIfTI's (i, j, k); components and times as channels.

    Raises:
        UnreadableFile: the files hold fewer or more bytes than the header declares, or damaged ones.
    """
    count, rest = divmod(math.prod(samples.sizes), len(samples.files))
    if rest:
        raise UnreadableFile(
            f"has {math.prod(samples.sizes)} samples, which {len(samples.files)} data files cannot share equally."
        )
    parts = [_part(samples, path, count) for path in samples.files]
    flat = parts[0] if len(parts) == 1 else np.concatenate(parts)
    stored = flat.reshape(samples.sizes[::-1]).T
    if samples.channels is not None:
        stored = np.moveaxis(stored, samples.channels, 0)
    elif len(samples.sizes) == 4:
        stored = np.moveaxis(stored, 3, 0)
    else:
        stored = stored[None]
    return Image(stored.reshape(-1, *grid.shape), grid)  # a fourth axis of one sample goes


def _part(samples: Samples, path: Path, count: int) -> np.ndarray:
    """The samples of one file, (count,)."""
    size = count * samples.dtype.itemsize
    with path.open("rb") as file:
        file.seek(samples.start)
        for _ in range(samples.lines):
            if not file.readline(1 << 20):
                raise UnreadableFile(f"has fewer lines than it says are to be skipped. {AGAIN}")
        there = path.stat().st_size - file.tell()
        if samples.encoding in UNPACKERS:
            skip = max(samples.skip, 0)
            found = unpack(file, skip + size, samples.encoding)[skip:]
        elif samples.encoding == "raw":
            skip = there - size if samples.skip == -1 else samples.skip
            if skip < 0 or there != skip + size:
                raise UnreadableFile(
                    f"holds {there - max(samples.skip, 0)} bytes of samples, and its header declares {size}. {AGAIN}"
                )
            file.seek(skip, 1)
            found = np.fromfile(file, np.uint8, size)
        else:
            return _words(file, there, samples, count)
    return found.view(samples.dtype)


def _words(file: BinaryIO, there: int, samples: Samples, count: int) -> np.ndarray:
    """Samples that are written as text."""
    if there > count * LONGEST_NUMBER + samples.skip:
        raise UnreadableFile(f"holds {there} bytes of text for {count} samples. {AGAIN}")
    text = file.read()[max(samples.skip, 0) :]
    if samples.encoding == "hex":
        data = np.frombuffer(bytes.fromhex(text.decode("ascii")), np.uint8)
        found = data.view(samples.dtype) if data.size % samples.dtype.itemsize == 0 else data[:0]
    elif samples.dtype.kind == "f":
        found = np.array(text.replace(b",", b" ").split(), dtype=bytes).astype(samples.dtype)
    else:
        numbers = [int(word) for word in text.replace(b",", b" ").split()]
        limits = np.iinfo(samples.dtype)
        if numbers and not limits.min <= min(numbers) <= max(numbers) <= limits.max:
            raise UnreadableFile(f"holds numbers that are not of its type {samples.dtype}. {AGAIN}")
        found = np.array(numbers, samples.dtype)
    if found.size != count:
        raise UnreadableFile(
            f"holds {found.size} numbers, and its header declares {count}. {AGAIN}"
        )
    return found


def write(image: Image, path: Path, suffix: str) -> None:
    """Write pixels by SimpleITK, compressed, in the format of `suffix`.

    Raises:
        ValueError: a 2D image that does not lie in the plane S = 0, the only one these formats know.
    """
    only(image.pixels, NUMBERS, suffix)
    itk: Any = importlib.import_module("SimpleITK")  # slow to start
    grid = image.geometry
    if image.channels == 1:
        found = itk.GetImageFromArray(image.pixels[0].T)
    else:
        found = itk.GetImageFromArray(image.pixels.T, isVector=True)
    found.SetSpacing(grid.spacing)
    if grid.to_patient is not None:
        n = grid.ndim
        if np.any(grid.to_patient[n:3] != 0):
            raise ValueError(
                f"{path}: a 2D image that lies across the patient cannot be said in {suffix}. Write .nii.gz."
            )
        found.SetDirection((grid.to_patient[:n, :n] / grid.spacing).ravel().tolist())
        found.SetOrigin(grid.to_patient[:n, n].tolist())
    with whole_file(path, suffix=suffix) as part:
        try:
            itk.WriteImage(found, str(part), useCompression=True)
        except RuntimeError as error:
            raise OSError(
                f"{path}: could not be written ({str(error).splitlines()[-1]})"
            ) from error
