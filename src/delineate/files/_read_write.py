"""A path <-> an Image, a Segmentation, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from delineate.core import Geometry, Image, Segmentation
from delineate.files._format import Format, UnreadableFile, by_content, by_ending, formats

Found = TypeVar("Found")

NEARLY_WHOLE = 1e-3
"""Labels kept as scaled integers or in low precision come back this near to whole numbers."""


def read_image(path: str | Path) -> Image:
    """Read an image in the depth of its file, upright as EXIF says, alpha dropped, palettes as RGB.

    A scan keeps its spacing and its place in the patient. NaN and infinity, which nothing after this can
    work with, become the smallest finite value of the image; `Image.warnings` says how many there were, and
    whether a NIfTI file puts the image in two places.

    Raises:
        UnreadableFile: missing, empty, cut short, of no known format, or too large.
    """
    image = _decode(Path(path), lambda form: form.read)
    pixels = _plain(image.pixels, Path(path))
    warnings = image.warnings
    if pixels.dtype.kind == "f":
        pixels, replaced = _finite(pixels, Path(path))
        if replaced:
            warnings += (
                f"{replaced} of {pixels.size} samples are NaN or infinity; the smallest finite value, "
                f"{pixels.min():g}, stands for them.",
            )
    return replace(image, pixels=pixels, warnings=warnings)


def read_mask(path: str | Path) -> Image:
    """Read a mask as it is stored, unsigned: one channel of values or palette indices, or three of colours.

    Upright as EXIF says, like its image. Whole numbers stored signed or as floats become the smallest
    unsigned type that holds them.

    Raises:
        UnreadableFile: as `read_image`; or negative values, or values that are not whole.
    """
    image = _decode(Path(path), lambda form: form.read_mask)
    return replace(image, pixels=_unsigned(_plain(image.pixels, Path(path)), Path(path)))


def read_geometry(path: str | Path) -> Geometry:
    """Where the image in a file lies, as `read_image` has it, from the header alone.

    Raises:
        UnreadableFile: as `read_image`, as far as the header shows it.
    """
    return _decode(Path(path), lambda form: form.read_geometry)


def data_files(path: str | Path) -> tuple[Path, ...]:
    """Every file that the image in `path` is made of: the file itself first, then the data files its header names.

    The second file of a NRRD or MetaImage whose samples lie elsewhere is found so; most images are one file.
    Whatever looks at the bytes of an image (a cache, a hash, a search for duplicates) has to look at all of them.

    Raises:
        UnreadableFile: as `read_image`, as far as the header shows it; or a data file is missing, is not a regular
            file, or lies outside the folder of the header.
    """
    return _decode(Path(path), lambda form: form.data_files)


def _decode(path: Path, reader: Callable[[Format], Callable[[Path], Found]]) -> Found:
    form = by_content(path)
    try:
        return reader(form)(path)
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from error.__cause__
    except MemoryError as error:
        raise UnreadableFile(
            f"{path}: too large for the memory of this machine. Crop it, or make it smaller, first."
        ) from error
    except Exception as error:  # ten decoders, each with errors of its own
        raise UnreadableFile(
            f"{path}: begins like {form.about.split(':')[0]} but cannot be decoded "
            f"({_reason(error)}). Was it cut short? Copy, download or export it again."
        ) from error


def _reason(error: Exception) -> str:
    """The last line of what a library says; those before it are its own places."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _plain(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Numbers in this machine's byte order."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8)
    if pixels.dtype.kind not in "uif":
        raise UnreadableFile(
            f"{path}: holds {pixels.dtype} samples; expected whole or real numbers. "
            "Export its magnitude, or one component."
        )
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _finite(pixels: np.ndarray, path: Path) -> tuple[np.ndarray, int]:
    """The same without NaN and infinity, and how many there were."""
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
    found = np.empty_like(pixels, dtype=np.min_scalar_type(int(highest)))
    for part, into in zip(_slabs(pixels), _slabs(found), strict=True):
        into[...] = np.rint(part) if part.dtype.kind == "f" else part
    return found


def _slabs(pixels: np.ndarray) -> list[np.ndarray]:
    """Views of a few million pixels each, so that what is made of them takes little memory."""
    return np.array_split(pixels, min(1 + (pixels.size >> 22), pixels.shape[-1]), axis=-1)


def _label_map(pixels: np.ndarray, path: Path) -> np.ndarray:
    """The values as whole numbers, 0 or more."""
    if pixels.dtype.kind == "f":
        whole = np.rint(pixels)
        odd = ~(np.abs(pixels - whole) <= NEARLY_WHOLE)  # NaN is odd too
        if odd.any():
            raise UnreadableFile(
                f"{path}: is no label map, it holds {pixels[odd][0]:g}; expected whole numbers. "
                "Was it resampled without nearest neighbour, or is it a map of probabilities?"
            )
        pixels = whole
    if pixels.min() < 0:
        raise UnreadableFile(
            f"{path}: is no label map, it holds {pixels.min():g}; expected 0 or more. "
            "Give such pixels a value of their own, with a label of kind ignore."
        )
    return pixels


def write_image(image: Image, path: str | Path) -> None:
    """Write pixels in their own depth; a scan's geometry goes along where the format can say it.

    Raises:
        ValueError: the ending is unknown, or its format cannot hold these pixels.
    """
    form, _ = by_ending(path)
    if form is None or form.write is None:
        raise _unknown(path, [s for f in formats() if f.write for s in f.suffixes])
    form.write(image, Path(path))


def write_mask(
    segmentation: Segmentation, path: str | Path, *, like: str | Path | None = None
) -> None:
    """Write the label map as 8 bits, or 16 if a label has a value above 255.

    A PNG has the labels' colours as its palette and their values as indices.

    Args:
        segmentation: what to write.
        path: the file; its ending decides the format.
        like: the file of the image. Where both are NIfTI and on one grid, the mask keeps its sform, its qform, their
            codes (scanner, MNI) and its unit, so that every program puts the two in one place.

    Raises:
        ValueError: the ending is unknown or would damage a mask, or its format cannot hold this one.
    """
    form, _ = by_ending(path)
    if form is None or form.write_mask is None:
        raise _unknown(path, [s for f in formats() if f.write_mask for s in f.suffixes])
    classes = segmentation.classes
    # The labels decide, so that all masks of one problem have one type.
    top = max([int(classes.max()), *(label.value for label in segmentation.labels.labels)])
    if top > 65535:
        raise ValueError(f"{path}: the label map holds {top}; at most 65535 can be written.")
    narrow = classes.astype(np.uint8 if top < 256 else np.uint16, copy=False)
    mask = replace(segmentation, classes=narrow)
    if like is not None and form.write_mask_like and by_content(Path(like)) is form:
        form.write_mask_like(mask, Path(path), Path(like))
    else:
        form.write_mask(mask, Path(path))


def _unknown(path: str | Path, known: list[str]) -> ValueError:
    return ValueError(
        f"{path}: cannot be written under this ending. Use one of {', '.join(sorted(known))}."
    )
