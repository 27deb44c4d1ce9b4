"""Samples of NRRD and MetaImage, which follow a text header or are in data files that it names.

Files are read here, and written by SimpleITK.
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
"""Maximum bytes of a sample written as text, with its separator."""
WORD_BYTES = 200
"""Memory per text sample while it is read, in bytes."""


@dataclass(frozen=True)
class Samples:
    """The layout of the samples of an image in its files.

    files: the files; each has an equal part of the samples.
    dtype: the dtype of a sample, in the byte order of the file.
    sizes: the size of each axis, the fastest axis first.
    channels: the axis of components; None if a sample is a single number.
    encoding: "raw", "text", "hex", or a compression that `unpack` supports.
    skip: bytes to skip in each file after decompression; -1 if the samples are at the end of the file.
    start: bytes of the header in each file, as stored; they come first.
    lines: lines to skip in each file after `start`.
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
    """The `Format` of files with a text header; it writes under its first ending.

    opened: returns the layout of the samples and the geometry, from the header of a file.
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
        volumes=True,
        axes="xyz",
    )


def geometry(
    samples: Samples, spacing: ArrayLike, direction: np.ndarray, origin: ArrayLike
) -> Geometry:
    """The geometry from ITK's description: spacing, columns of `direction`, and origin, in LPS.

    Raises:
        UnreadableFile: too many axes, too many samples, or axes that are linearly dependent.
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
        return Geometry.in_pixels(size)  # ITK's default values: an image without physical size
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
    """Read the image, with axes (x, y, z) as NIfTI's (i, j, k); components and times are channels.

    Raises:
        UnreadableFile: the files hold fewer or more bytes than the header declares, or damaged ones.
    """
    count, rest = divmod(math.prod(samples.sizes), len(samples.files))
    if rest:
        raise UnreadableFile(
            f"has {math.prod(samples.sizes)} samples in {len(samples.files)} data files; expected equal parts. {AGAIN}"
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
    return Image(stored.reshape(-1, *grid.shape), grid)  # drops a fourth axis of length 1


def _part(samples: Samples, path: Path, count: int) -> np.ndarray:
    """The samples of one file, (count,)."""
    size = count * samples.dtype.itemsize
    with path.open("rb") as file:
        file.seek(samples.start)
        for _ in range(samples.lines):
            if not file.readline(1 << 20):
                raise UnreadableFile(f"has fewer lines than its header tells to skip. {AGAIN}")
        there = path.stat().st_size - file.tell()
        if samples.encoding in UNPACKERS:
            skip = max(samples.skip, 0)
            found = unpack(file, skip + size, samples.encoding)[skip:]
        elif samples.encoding == "raw":
            skip = there - size if samples.skip == -1 else samples.skip
            if skip < 0 or there != skip + size:
                raise UnreadableFile(
                    f"holds {there - max(samples.skip, 0)} bytes of samples, but its header declares {size}. {AGAIN}"
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
            f"holds {found.size} numbers, but its header declares {count}. {AGAIN}"
        )
    return found


def write(image: Image, path: Path, suffix: str) -> None:
    """Write pixels by SimpleITK, compressed, in the format of `suffix`.

    Raises:
        ValueError: a 2D image outside the plane S = 0, which these formats cannot describe.
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
                f"{path}: {suffix} cannot store a 2D image outside the plane S = 0 of the patient. Write .nii.gz."
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
