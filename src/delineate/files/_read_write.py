"""Read and write images and masks of any format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from delineate.core import Geometry, Image, Segmentation
from delineate.files._format import Format, Series, UnreadableFile, by_content, by_ending, formats

Result = TypeVar("Result")

NEARLY_WHOLE = 1e-3
"""Tolerance for whole numbers: labels stored as scaled integers or in low precision are rounded."""


def read_image(path: str | Path) -> Image:
    """Read an image in the dtype of its file: EXIF orientation applied, alpha dropped, palettes as RGB.

    A folder that holds the files of one DICOM series is one image, with axes (slice, row, column); other files in it
    are ignored.

    A scan keeps its spacing and its position in the patient. NaN and infinity are replaced by the smallest finite
    value of the image. `Image.warnings` tells how many were replaced, and whether sform and qform of a NIfTI file
    disagree.

    Raises:
        UnreadableFile: missing, empty, truncated, of unknown format, or too large.
    """
    image = _decode(Path(path), lambda form: form.read)
    pixels = _plain(image.pixels, Path(path))
    warnings = image.warnings
    if pixels.dtype.kind == "f":
        pixels, replaced = _finite(pixels, Path(path))
        if replaced:
            warnings += (
                f"{replaced} of {pixels.size} samples are NaN or infinity; they were replaced by the smallest finite "
                f"value, {pixels.min():g}.",
            )
    return replace(image, pixels=pixels, warnings=warnings)


def read_mask(path: str | Path) -> Image:
    """Read a mask as stored, unsigned: one channel of values or palette indices, or three channels of colours.

    The EXIF orientation is applied, as for images. Whole numbers stored as signed integers or floats are converted
    to the smallest unsigned dtype that holds them.

    Raises:
        UnreadableFile: as `read_image`; or values that are negative or not whole numbers.
    """
    image = _decode(Path(path), lambda form: form.read_mask)
    return replace(image, pixels=_unsigned(_plain(image.pixels, Path(path)), Path(path)))


def read_geometry(path: str | Path) -> Geometry:
    """Read the geometry of an image, equal to that of `read_image`, from the header alone.

    Raises:
        UnreadableFile: as `read_image`, for errors that the header shows.
    """
    return _decode(Path(path), lambda form: form.read_geometry)


def data_files(path: str | Path) -> tuple[Path, ...]:
    """All files of the image in `path`: the file itself first, then the data files that its header names.

    Most images are one file; NRRD and MetaImage may have separate data files. Those of a folder with a DICOM series
    are its slices, in order along their normal. Code that hashes the bytes of an image
    must use all of them.

    Raises:
        UnreadableFile: as `read_image`, for errors that the header shows; or a data file is missing, is not a regular
            file, or is outside the folder of the header.
    """
    return _decode(Path(path), lambda form: form.data_files)


def series_in(folder: str | Path) -> list[Series]:
    """The series in a folder of DICOM files, from the headers. `read_image` reads a folder that has exactly one.

    Raises:
        UnreadableFile: the folder has no DICOM images, or a DICOM file that cannot be read.
    """
    return _decode(Path(folder), lambda form: form.series_in)


def _decode(path: Path, reader: Callable[[Format], Callable[[Path], Result]]) -> Result:
    form = by_content(path)
    try:
        return reader(form)(path)
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from error.__cause__
    except MemoryError as error:
        raise UnreadableFile(
            f"{path}: too large for the memory of this machine. Crop or downsample it first."
        ) from error
    except Exception as error:  # each decoder library has its own exceptions
        raise UnreadableFile(
            f"{path}: begins like {form.about.split(':')[0]} but cannot be decoded "
            f"({_reason(error)}). Is it truncated? Copy, download or export it again."
        ) from error


def _reason(error: Exception) -> str:
    """The last line of a library's error message; the lines before it are source locations."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _plain(pixels: np.ndarray, path: Path) -> np.ndarray:
    """The pixels in native byte order; booleans become uint8."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8)
    if pixels.dtype.kind not in "uif":
        raise UnreadableFile(
            f"{path}: holds {pixels.dtype} samples; expected whole or real numbers. "
            "Export its magnitude, or one component."
        )
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _finite(pixels: np.ndarray, path: Path) -> tuple[np.ndarray, int]:
    """The pixels without NaN and infinity, and the number of replaced samples."""
    finite = np.isfinite(pixels)
    if finite.all():
        return pixels, 0
    if not finite.any():
        raise UnreadableFile(
            f"{path}: holds no finite value, only NaN or infinity. Export it again."
        )
    replaced = int(pixels.size - np.count_nonzero(finite))
    return np.where(finite, pixels, pixels[finite].min()), replaced


def _unsigned(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.dtype.kind == "u":
        return pixels
    highest = max(_label_map(part, path).max() for part in _slabs(pixels))
    unsigned = np.empty_like(pixels, dtype=np.min_scalar_type(int(highest)))
    for part, into in zip(_slabs(pixels), _slabs(unsigned), strict=True):
        into[...] = np.rint(part) if part.dtype.kind == "f" else part
    return unsigned


def _slabs(pixels: np.ndarray) -> list[np.ndarray]:
    """Views of a few million pixels each, so that temporary arrays need little memory."""
    return np.array_split(pixels, min(1 + (pixels.size >> 22), pixels.shape[-1]), axis=-1)


def _label_map(pixels: np.ndarray, path: Path) -> np.ndarray:
    """The values as whole numbers, all 0 or more."""
    if pixels.dtype.kind == "f":
        whole = np.rint(pixels)
        odd = ~(np.abs(pixels - whole) <= NEARLY_WHOLE)  # NaN is odd too
        if odd.any():
            raise UnreadableFile(
                f"{path}: is not a label map: it contains {pixels[odd][0]:g}; expected whole numbers. "
                "Was it resampled without nearest neighbour, or is it a probability map?"
            )
        pixels = whole
    if pixels.min() < 0:
        raise UnreadableFile(
            f"{path}: is not a label map: it contains {pixels.min():g}; expected 0 or more. "
            "Give such pixels a value of their own, with a label of kind ignore."
        )
    return pixels


def write_image(image: Image, path: str | Path, *, like: str | Path | None = None) -> None:
    """Write pixels in their dtype; the geometry of a scan is written if the format supports it.

    Args:
        image: what to write.
        path: the file; its ending decides the format.
        like: the file or folder that the image was read from. Its full position header is copied, or the axes are put
            in the order of the format, as by `write_mask`.

    Raises:
        ValueError: the ending is unknown, or its format cannot hold these pixels.
    """
    form, _ = by_ending(path)
    if form is None or form.write is None:
        raise _unknown(path, [s for f in formats() if f.write for s in f.suffixes])
    if like is not None and form.write_like and by_content(Path(like)) is form:
        form.write_like(image, Path(path), Path(like))
    else:
        form.write(_placed(image, like, form), Path(path))


def write_mask(
    segmentation: Segmentation, path: str | Path, *, like: str | Path | None = None
) -> None:
    """Write the label map as 8 bits, or 16 if a label has a value above 255.

    A PNG has the labels' colours as its palette and their values as indices.

    Args:
        segmentation: what to write.
        path: the file; its ending decides the format.
        like: the file or folder of the image. If both are NIfTI and on the same grid, the mask gets the sform, the
            qform, their codes (scanner, MNI) and the unit of the image, so that all programs show the two in the same
            position. If the image is DICOM with a position in the patient and the mask is NIfTI, NRRD or MetaImage, the
            axes are written in the order columns, rows, slices, as `convert` writes the image.

    Raises:
        ValueError: the ending is unknown, its format would change mask values, or it cannot hold this mask; or the
            segmentation has image-level labels only, and no mask.
    """
    if not segmentation.outlined:
        raise ValueError(
            f"{path}: the segmentation has image-level labels only, and no mask to write. Read `present` and `scores`."
        )
    form, _ = by_ending(path)
    if form is None or form.write_mask is None:
        raise _unknown(path, [s for f in formats() if f.write_mask for s in f.suffixes])
    classes = segmentation.classes
    # By the labels, so that all masks of one recipe have the same dtype.
    highest = 0 if classes.dtype.itemsize == 1 else int(classes.max())
    top = max([highest, *(label.value for label in segmentation.labels.labels)])
    if top > 65535:
        raise ValueError(f"{path}: the label map holds {top}; at most 65535 can be written.")
    narrow = classes.astype(np.uint8 if top < 256 else np.uint16, copy=False)
    mask = segmentation if narrow is classes else replace(segmentation, classes=narrow)
    if like is not None and form.write_like and by_content(Path(like)) is form:
        form.write_like(Image(mask.classes[None], mask.geometry), Path(path), Path(like))
    else:
        placed = _placed(Image(mask.classes[None], mask.geometry), like, form)
        form.write_mask(Segmentation(placed.pixels[0], mask.labels, placed.geometry), Path(path))


def _placed(image: Image, like: str | Path | None, form: Format) -> Image:
    """The image in the order of axes of `form`, if it has a position by which others find its axes again."""
    if like is None or image.geometry.to_patient is None:
        return image
    return in_order_of(form, image, like)


def in_order_of(form: Format, image: Image, like: str | Path) -> Image:
    """An image that was read from `like`, with its axes in the order of another format: reversed, or as they are."""
    if by_content(Path(like)).axes == form.axes:
        return image
    order = list(range(image.geometry.ndim))[::-1]
    pixels = image.pixels.transpose(0, *[axis + 1 for axis in order])
    grid = image.geometry.reordered(order, [False] * len(order))
    return replace(image, pixels=pixels, geometry=grid)


def _unknown(path: str | Path, known: list[str]) -> ValueError:
    return ValueError(
        f"{path}: cannot be written under this ending. Use one of {', '.join(sorted(known))}."
    )
