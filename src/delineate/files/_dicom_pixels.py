"""The pixels of DICOM planes: decoded, sign-extended, and rescaled to the values that they stand for."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from delineate.files._dicom_compressed import decoded, decoder
from delineate.files._dicom_header import BIG_ENDIAN, PLAIN, RLE, Header
from delineate.files._dicom_plane import Plane, frame_count
from delineate.files._format import UnreadableFile, check_packing
from delineate.files._unpack import AGAIN

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
QUANTITIES = ("CT", "PT", "NM")
"""Modalities whose numbers are measurements, so that MONOCHROME1 does not invert them."""
AIR, TOP = -1024, 3071
"""The scale of CT in HU: 12 bits."""
PACKING = 100_000
"""Maximum bytes of pixels per compressed byte: JPEG 2000 and JPEG-LS store an even image in a few bytes."""
NO_RESCALE = (
    "has no RescaleSlope and RescaleIntercept; the stored numbers are taken for Hounsfield units."
)
INT16 = np.iinfo(np.int16)


def check_pixels(header: Header) -> None:
    """Refuse pixels that are described wrongly, and a file that is too short for them, before memory is taken.

    Raises:
        UnreadableFile: the header is wrong, or the file is truncated.
    """
    bits, stored = header.whole("BitsAllocated"), header.whole("BitsStored")
    high, samples = header.whole("HighBit", stored - 1), header.whole("SamplesPerPixel", 1)
    name = header.path.name
    if bits not in (8, 16, 32) or not 1 <= stored <= high + 1 <= bits:
        raise UnreadableFile(
            f"has {stored} of {bits} bits in use in {name}, the highest number {high}; expected 8, 16 or 32, and no "
            f"more in use. {AGAIN}"
        )
    if samples not in (1, 3) or header.whole("PixelRepresentation") not in (0, 1):
        raise UnreadableFile(
            f"has {samples} samples per pixel in {name}; expected 1 or 3. Export it again."
        )
    declared = frame_count(header) * frame_bytes(header)
    if declared == 0:
        raise UnreadableFile(
            f"has {header.whole('Rows')} rows and {header.whole('Columns')} columns in {name}. {AGAIN}"
        )
    if header.syntax not in PLAIN:
        check_packing(declared, header.size, PACKING)
        return
    there = min(header.length, header.end - header.start)
    if there not in (declared, declared + declared % 2):
        raise UnreadableFile(
            f"holds {there} bytes of pixels in {name}, but its header declares {declared}. {AGAIN}"
        )


def frame_bytes(header: Header) -> int:
    """Bytes of one frame when it is not compressed."""
    return math.prod(
        (
            header.whole("Rows"),
            header.whole("Columns"),
            header.whole("SamplesPerPixel", 1),
            header.whole("BitsAllocated") // 8,
        )
    )


# Grey values


def grey_values(planes: Sequence[Plane]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The values of the planes, (plane, row, column), and warnings.

    Each plane has its own slope and intercept. CT, and other images with whole slopes and intercepts, become int16 if
    the values fit, and float32 otherwise. Values without rescaling keep their dtype.
    """
    head = planes[0].header
    stored = np.result_type(*{dtype_of(p.header) for p in planes})
    shape = (len(planes), head.whole("Rows"), head.whole("Columns"))
    if head.has("ModalityLUTSequence"):
        return _through_table(planes, np.empty(shape, stored)), ()
    if any(p.slope == 0 for p in planes):
        raise UnreadableFile("has a RescaleSlope of 0. Export it again.")
    is_ct = head.text("Modality") == "CT"
    identity = all(p.slope == 1 and p.intercept == 0 for p in planes)
    whole = all(p.slope.is_integer() and p.intercept.is_integer() for p in planes)
    if identity and not (is_ct and stored.kind == "u"):
        values = np.empty(shape, stored)
    else:
        values = np.empty(shape, np.int16 if whole and stored.itemsize <= 2 else np.float32)
    told: tuple[str, ...] = ()
    if is_ct and not planes[0].rescaled:
        told = (NO_RESCALE,)
    padded = 0
    for index, (plane, raw) in enumerate(_stored(planes, values)):
        padding = _padding(plane, raw) if is_ct else None
        if identity and values.dtype == raw.dtype:
            values[index] = raw  # the same memory, as a rule
        else:
            if values.dtype == np.int16 and not _fits(plane, raw, padding):
                wide = np.empty(shape, np.float32)
                wide[:index] = values[:index]
                values = wide
            _rescale(plane, raw, values[index])
        if padding is not None:
            values[index][padding] = AIR
            padded += int(np.count_nonzero(padding))
    if not padded:
        return values, told
    return values, (
        *told,
        f"{padded} samples have the padding value, outside the scale of CT; they were set to {AIR} HU (air).",
    )


def _fits(plane: Plane, raw: np.ndarray, padding: np.ndarray | None) -> bool:
    """Whether the rescaled values fit into int16, except for padding, which will be replaced."""
    kept = raw if padding is None else raw[~padding]
    if not kept.size:
        return True
    ends = [int(end) * plane.slope + plane.intercept for end in (kept.min(), kept.max())]
    return min(ends) >= INT16.min and max(ends) <= INT16.max


def _rescale(plane: Plane, raw: np.ndarray, out: np.ndarray) -> None:
    """Write raw * slope + intercept; for int16, the caller replaces what does not fit.

    `raw` may be the memory of `out`.
    """
    one, added = plane.slope == 1, plane.intercept
    if out.dtype == np.int16 and raw.itemsize == 2 and one and INT16.min <= added <= INT16.max:
        np.add(raw.view(np.int16), np.int16(added), out=out)  # wraps around to the right value
    else:
        out[...] = raw * np.float64(plane.slope) + added


def _padding(plane: Plane, raw: np.ndarray) -> np.ndarray | None:
    """Which samples of a CT are padding; None if there are none, or if the padding is within the scale of CT.

    Scanners fill the corners outside their round field of view with a value such as -2000 HU. A value within the
    scale stays, because some files declare an ordinary value as padding.
    """
    head = plane.header
    if not head.has("PixelPaddingValue"):
        return None
    signed = raw.dtype.kind == "i"
    first = head.whole("PixelPaddingValue", signed=signed)
    last = head.whole("PixelPaddingRangeLimit", first, signed=signed)
    if all(AIR <= end * plane.slope + plane.intercept <= TOP for end in (first, last)):
        return None
    found = raw == first if first == last else (raw >= min(first, last)) & (raw <= max(first, last))
    return found if found.any() else None


def _through_table(planes: Sequence[Plane], values: np.ndarray) -> np.ndarray:
    """The values by the modality table of each plane; MONOCHROME1 is inverted within the bits of the table."""
    apply = importlib.import_module("pydicom.pixels.processing").apply_modality_lut
    found = []
    for plane, raw in _stored(planes, values, invert=False):
        dataset = plane.header.dataset()
        table = apply(raw, dataset)
        if _is_dark(plane.header):
            bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
            table = table.dtype.type((1 << bits) - 1) - table
        found.append(table)
    return np.stack(found)


def _is_dark(header: Header) -> bool:
    """Whether more is darker, and the numbers are not measurements."""
    dark = header.text("PhotometricInterpretation") == "MONOCHROME1"
    return dark and header.text("Modality") not in QUANTITIES


def _stored(
    planes: Sequence[Plane], into: np.ndarray, *, invert: bool = True
) -> Iterator[tuple[Plane, np.ndarray]]:
    """The stored values of each plane, (row, column), in the memory of `into` (plane, row, column) where they fit.

    invert: whether MONOCHROME1, in which more is darker, is inverted within its bits.
    """
    index = 0
    for header, group in groupby(planes, key=lambda plane: plane.header):
        ours = list(group)
        dtype = dtype_of(header)
        if into.dtype.kind in "iu" and into.dtype.itemsize == dtype.itemsize:
            buffers = into[index : index + len(ours)].view(dtype)
        else:
            buffers = np.empty((len(ours), *into.shape[1:]), dtype)
        reader = _plain if header.syntax in PLAIN else _unpacked
        reader(header, [plane.frame for plane in ours], buffers)
        dark = invert and _is_dark(header)
        for plane, raw in zip(ours, buffers, strict=True):
            if header.syntax in (*PLAIN, RLE):
                _clean(header, raw)
            if dark:
                if dtype.kind == "i":
                    np.invert(raw, out=raw)
                else:
                    np.subtract(dtype.type((1 << header.whole("BitsStored")) - 1), raw, out=raw)
            yield plane, raw
        index += len(ours)


def _clean(header: Header, raw: np.ndarray) -> None:
    """Drop the bits that are not the number's, and extend its sign, in place."""
    bits, stored = header.whole("BitsAllocated"), header.whole("BitsStored")
    if stored < bits:
        np.left_shift(raw, bits - 1 - header.whole("HighBit", stored - 1), out=raw)
        np.right_shift(raw, bits - stored, out=raw)


def dtype_of(header: Header) -> np.dtype:
    """The dtype of the stored numbers, in native byte order."""
    kind = "i" if header.whole("PixelRepresentation") else "u"
    return np.dtype(f"{kind}{header.whole('BitsAllocated') // 8}")


# Stored samples


def _plain(header: Header, frames: Sequence[int], into: np.ndarray) -> None:
    """Read uncompressed frames into (frame, row, column)."""
    size = frame_bytes(header)
    with header.opened() as file:
        for frame, out in zip(frames, into, strict=True):
            file.seek(header.start + frame * size)
            if file.readinto(memoryview(out).cast("B")) != size:  # type: ignore[attr-defined]
                raise UnreadableFile(f"ends within the pixels of {header.path.name}. {AGAIN}")
    if header.syntax == BIG_ENDIAN:
        into.byteswap(inplace=True)


def _unpacked(header: Header, frames: Sequence[int], into: np.ndarray) -> None:
    """Decode compressed frames into (frame, row, column)."""
    for out, pixels in zip(into, decoded(header, frames, raw=True), strict=True):
        np.copyto(out, pixels, casting="same_kind")


# Colour


def colours(header: Header, *, palette: bool) -> np.ndarray:
    """The pixels of a colour image as RGB, (3, row, column); or the indices of its palette, (1, row, column).

    palette: whether palettes become colours.
    """
    if header.syntax in PLAIN:
        dataset = header.dataset(pixels=True)
        dataset.file_meta = importlib.import_module("pydicom.dataset").FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = header.syntax
        pixels = np.asarray(decoder(header).as_array(dataset, index=0)[0])
    else:
        pixels = next(decoded(header, [0], raw=False))
    if header.text("PhotometricInterpretation") != PALETTE:
        if pixels.ndim != 3:
            raise UnreadableFile(f"decodes to {pixels.shape}; expected three colours. {AGAIN}")
        return np.moveaxis(pixels, -1, 0)
    if not palette:
        return pixels[None]
    apply = importlib.import_module("pydicom.pixels.processing").apply_color_lut
    coloured = np.asarray(apply(pixels, header.dataset()))[..., :3]
    if coloured.dtype == np.uint16:
        coloured = (coloured >> 8).astype(np.uint8)
    return np.moveaxis(coloured, -1, 0)
