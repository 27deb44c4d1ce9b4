"""DICOM: a folder with one series as a volume, a multi-frame file as a volume, another file as an image of 2 axes."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from delineate.core import Geometry, Image
from delineate.files._dicom_header import INSTALL, PLAIN, Header, is_dicom, read_header
from delineate.files._dicom_series import (
    Plane,
    frame_count,
    frames,
    headers,
    holds_dicom,
    in_plane,
    one_series,
    plane,
    series_of,
    volume,
    why_no_image,
)
from delineate.files._format import Format, Series, UnreadableFile, check_packing, check_size
from delineate.files._unpack import AGAIN

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
PLUGINS = ("pylibjpeg", "pyjpegls", "gdcm", "pillow", "pydicom")
"""Decoders of pydicom, the preferred one first."""
PACKING = 100_000
"""Maximum bytes of pixels per compressed byte: JPEG 2000 and JPEG-LS store an even image in a few bytes."""
QUANTITIES = ("CT", "PT", "NM")
"""Modalities whose numbers are measurements, so that MONOCHROME1 does not invert them."""
AIR = -1024
TOP = 3071
"""The scale of CT, 12 bits from -1024 HU."""


def series_in(folder: Path) -> list[Series]:
    """The series in a folder."""
    return series_of(headers(folder))


def _layout(path: Path) -> tuple[list[Plane], Geometry]:
    """The planes of an image in their order, and its geometry; one plane for an image of 2 axes."""
    if path.is_dir():
        found = headers(path)
        one_series(found)
        if len(found) > 1:
            for header in found:
                if frame_count(header) > 1:
                    raise UnreadableFile(
                        f"holds {len(found)} files, and {header.path.name} has several frames. Give that file alone."
                    )
            planes, geometry = volume([plane(header) for header in found])
        else:
            planes, geometry = _one_file(found[0], deep=True)
    else:
        header = read_header(path)
        if why := why_no_image(header):
            raise UnreadableFile(why)
        planes, geometry = _one_file(header, deep=False)
    _check(planes, geometry)
    return planes, geometry


def _one_file(header: Header, *, deep: bool) -> tuple[list[Plane], Geometry]:
    """The planes of one file.

    deep: whether a single slice with a known place and thickness is a volume of one slice.
    """
    count = frame_count(header)
    if count > 1:
        _check_room(header, count)
        return volume(frames(header))
    enhanced = header.has("PerFrameFunctionalGroupsSequence")
    only = frames(header)[0] if enhanced else plane(header)
    if deep and only.position is not None and only.spacing is not None and only.thickness > 0:
        return volume([only])
    return [only], _flat(only)


def _flat(one: Plane) -> Geometry:
    """The geometry of an image of 2 axes."""
    head = one.header
    shape = (head.whole("Rows"), head.whole("Columns"))
    if min(shape) < 1:
        raise UnreadableFile(f"has {shape[0]} rows and {shape[1]} columns. {AGAIN}")
    if head.whole("SamplesPerPixel", 1) != 1 or head.text("PhotometricInterpretation") == PALETTE:
        return Geometry.in_pixels(shape)
    if one.spacing is not None and one.position is not None:
        affine = np.vstack([np.column_stack([in_plane(one), one.position]), [0, 0, 1]])
        return Geometry.in_patient(shape, affine)
    spacing = one.spacing
    if spacing is None:
        spacing = _at_detector(head)
    if spacing is None:
        return Geometry.in_pixels(shape)
    if not (spacing > 0).all():
        raise UnreadableFile(
            f"has a pixel spacing of {spacing.tolist()}; expected positive mm. Export it again."
        )
    return Geometry(shape, (float(spacing[0]), float(spacing[1])), "mm")


def _at_detector(header: Header) -> np.ndarray | None:
    """The spacing at the detector of a radiograph, divided by the magnification if that is known."""
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        numbers = header.numbers(keyword)
        if len(numbers) == 2:
            return np.array(numbers) / (_magnification(header) or 1)
    return None


def _magnification(header: Header) -> float:
    return next(iter(header.numbers("EstimatedRadiographicMagnificationFactor")), 0.0)


def _check(planes: Sequence[Plane], geometry: Geometry) -> None:
    """Refuse pixels that cannot be, or that would take too much memory."""
    check_size(geometry.shape, 16 if planes[0].header.whole("SamplesPerPixel", 1) == 1 else 12)
    for header in {id(p.header): p.header for p in planes}.values():
        bits, stored = header.whole("BitsAllocated"), header.whole("BitsStored")
        samples = header.whole("SamplesPerPixel", 1)
        high = header.whole("HighBit", stored - 1)
        if bits not in (8, 16, 32) or not 1 <= stored <= high + 1 <= bits:
            raise UnreadableFile(
                f"has {stored} bits stored of {bits} allocated in {header.path.name}, the highest {high}; expected "
                f"8, 16 or 32 allocated, and no more stored. {AGAIN}"
            )
        if samples not in (1, 3) or header.whole("PixelRepresentation") not in (0, 1):
            raise UnreadableFile(
                f"has {samples} samples per pixel in {header.path.name}; expected 1 or 3. Export it again."
            )
        _check_room(header, frame_count(header))


def _check_room(header: Header, count: int) -> None:
    """Refuse a file that is too short for its pixels."""
    declared = count * _frame_bytes(header)
    if header.syntax in PLAIN:
        length = header.length
        end = header.size if header.inflated is None else len(header.inflated)
        there = min(length, end - header.start)
        if there not in (declared, declared + declared % 2):
            raise UnreadableFile(
                f"holds {there} bytes of pixels in {header.path.name}, but its header declares {declared}. {AGAIN}"
            )
    else:
        check_packing(declared, header.size, PACKING)


def _frame_bytes(header: Header) -> int:
    return math.prod(
        [header.whole(k) for k in ("Rows", "Columns")]
        + [header.whole("SamplesPerPixel", 1), header.whole("BitsAllocated") // 8]
    )


def _read_geometry(path: Path) -> Geometry:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _layout(path)[1]


def _read(path: Path) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _image(path, palette=True)


def _read_mask(path: Path) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _image(path, palette=False)


def _data_files(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tuple(dict.fromkeys(p.header.path for p in _layout(path)[0]))


def _image(path: Path, *, palette: bool) -> Image:
    planes, geometry = _layout(path)
    head = planes[0].header
    kind = head.text("PhotometricInterpretation")
    if kind not in GREY:
        pixels = _colours(head, palette=palette)
        return Image(pixels, geometry)
    stack = np.empty(
        (1, *geometry.shape[-3:]) if geometry.ndim == 3 else (1, 1, *geometry.shape),
        np.result_type(*{_dtype(p.header) for p in planes}),
    )
    for index, one in enumerate(planes):
        stack[0, index] = _stored(one)
    found, notes = _rescaled(stack[0], planes)
    notes += _spacing_note(planes[0], geometry)
    return Image(found.reshape(1, *geometry.shape), geometry, notes)


def _spacing_note(one: Plane, geometry: Geometry) -> tuple[str, ...]:
    if geometry.unit != "mm" or one.spacing is not None or _magnification(one.header):
        return ()
    return (
        "its spacing is that at the detector (ImagerPixelSpacing). What lies in the patient is smaller, by a "
        "magnification that the file does not tell.",
    )


def _dtype(header: Header) -> np.dtype:
    kind = "i" if header.whole("PixelRepresentation") else "u"
    return np.dtype(f"{kind}{header.whole('BitsAllocated') // 8}")


def _stored(one: Plane) -> np.ndarray:
    """The stored values of a plane, (row, column)."""
    head = one.header
    shape = (head.whole("Rows"), head.whole("Columns"))
    dtype = _dtype(head)
    if head.syntax not in PLAIN:
        return _decoded(head, one.frame).astype(dtype, copy=False)
    size = _frame_bytes(head)
    with head.opened() as file:
        file.seek(head.start + one.frame * size)
        data = file.read(size)
    if len(data) != size:
        raise UnreadableFile(f"ends within the pixels of {one.name}. {AGAIN}")
    pixels = np.frombuffer(data, dtype.newbyteorder(">" if head.big_endian else "<")).reshape(shape)
    pixels = pixels.astype(dtype)
    bits, stored = head.whole("BitsAllocated"), head.whole("BitsStored")
    left = bits - 1 - head.whole("HighBit", stored - 1)
    if stored < bits:  # drops other bits on both sides, and extends the sign
        pixels <<= left
        pixels >>= bits - stored
    return pixels


def _decoded(header: Header, frame: int, *, raw: bool = True) -> np.ndarray:
    """A frame by one of pydicom's decoders."""
    decoder = _decoder(header)
    plugin = next(name for name in PLUGINS if name in decoder.available_plugins)
    with header.path.open("rb") as file:
        file.seek(header.start)
        data = file.read()
    try:
        pixels, _ = decoder.as_array(
            data,
            index=frame,
            raw=raw,
            decoding_plugin=plugin,
            rows=header.whole("Rows"),
            columns=header.whole("Columns"),
            number_of_frames=frame_count(header),
            samples_per_pixel=header.whole("SamplesPerPixel", 1),
            bits_allocated=header.whole("BitsAllocated"),
            bits_stored=header.whole("BitsStored"),
            pixel_representation=header.whole("PixelRepresentation"),
            photometric_interpretation=header.text("PhotometricInterpretation"),
            planar_configuration=header.whole("PlanarConfiguration"),
            pixel_keyword="PixelData",
        )
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ != "PanicException":
            raise
        # pylibjpeg-rle panics on damaged data, and the panic of Rust is no Exception
        raise UnreadableFile(
            f"has damaged pixels in {header.path.name} ({error}). {AGAIN}"
        ) from error
    return np.asarray(pixels)


def _decoder(header: Header) -> Any:
    from pydicom.uid import UID

    name = UID(header.syntax).name
    try:
        decoder = importlib.import_module("pydicom.pixels").get_decoder(header.syntax)
    except NotImplementedError:
        raise UnreadableFile(
            f"is compressed as {name}, which is not read. Decompress it first, with dcmdjpeg or gdcmconv --raw."
        ) from None
    if not decoder.is_available:
        raise UnreadableFile(
            f"is compressed as {name}, and no decoder for it is installed. Install it with: {INSTALL}"
        )
    return decoder


def _colours(header: Header, *, palette: bool) -> np.ndarray:
    """The pixels of a colour image, (3, row, column), or the indices of its palette, (1, row, column)."""
    if header.syntax in PLAIN:
        dataset = header.dataset(pixels=True)
        decoder = importlib.import_module("pydicom.pixels").get_decoder(header.syntax)
        dataset.file_meta = importlib.import_module("pydicom.dataset").FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = header.syntax
        pixels = np.asarray(decoder.as_array(dataset, index=0)[0])
    else:
        pixels = _decoded(header, 0, raw=False)
    if header.text("PhotometricInterpretation") != PALETTE:
        if pixels.ndim != 3:
            raise UnreadableFile(f"decodes to {pixels.shape}; expected three colours. {AGAIN}")
        return np.moveaxis(pixels, -1, 0)
    if not palette:
        return pixels[None]
    from pydicom.pixels.processing import apply_color_lut

    coloured = apply_color_lut(pixels, header.dataset())
    if coloured.dtype == np.uint16:
        coloured = (coloured >> 8).astype(np.uint8)
    return np.asarray(np.moveaxis(coloured[..., :3], -1, 0))


def _rescaled(stack: np.ndarray, planes: Sequence[Plane]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The values of the stored pixels (slice, row, column), and notes about them."""
    head = planes[0].header
    notes: tuple[str, ...] = ()
    padding = _padding(stack, planes)
    if (
        head.text("PhotometricInterpretation") == "MONOCHROME1"
        and head.text("Modality") not in QUANTITIES
    ):
        bits = head.whole("BitsStored")
        stack = (-1 - stack) if head.whole("PixelRepresentation") else ((1 << bits) - 1 - stack)
    if head.has("ModalityLUTSequence"):
        from pydicom.pixels.processing import apply_modality_lut

        found = np.stack(
            [
                apply_modality_lut(part, p.header.dataset())
                for part, p in zip(stack, planes, strict=True)
            ]
        )
    else:
        found = _scaled(stack, planes)
    if padding is not None and padding.any():
        found[padding] = AIR
        notes += (
            f"{np.count_nonzero(padding)} samples have the padding value, outside the scale of CT; they were set to "
            f"{AIR} HU (air).",
        )
    return found, notes


def _scaled(stack: np.ndarray, planes: Sequence[Plane]) -> np.ndarray:
    slopes = np.array([p.slope for p in planes])
    intercepts = np.array([p.intercept for p in planes])
    if not slopes.all():
        raise UnreadableFile("has a RescaleSlope of 0. Export it again.")
    if (slopes == 1).all() and (intercepts == 0).all():
        return stack
    if (slopes == np.rint(slopes)).all() and (intercepts == np.rint(intercepts)).all():
        low = stack.min(axis=(1, 2)).astype(np.float64) * slopes + intercepts
        high = stack.max(axis=(1, 2)).astype(np.float64) * slopes + intercepts
        if min(low.min(), high.min()) >= -32768 and max(low.max(), high.max()) <= 32767:
            values = stack.astype(np.int64) * slopes.astype(np.int64)[:, None, None]
            return (values + intercepts.astype(np.int64)[:, None, None]).astype(np.int16)
    scaled = stack.astype(np.float32)
    scaled *= slopes.astype(np.float32)[:, None, None]
    scaled += intercepts.astype(np.float32)[:, None, None]
    return scaled


def _padding(stack: np.ndarray, planes: Sequence[Plane]) -> np.ndarray | None:
    """Which samples of a CT are padding and lie outside the scale of CT."""
    head = planes[0].header
    if head.text("Modality") != "CT" or not head.has("PixelPaddingValue"):
        return None
    signed = bool(head.whole("PixelRepresentation"))
    ends = [head.whole("PixelPaddingValue", signed=signed)]
    ends.append(head.whole("PixelPaddingRangeLimit", ends[0], signed=signed))
    values = [end * planes[0].slope + planes[0].intercept for end in ends]
    if all(AIR <= value <= TOP for value in values):
        return None
    return (stack >= min(ends)) & (stack <= max(ends))


dicom = Format(
    about="DICOM: series, multi-frame files and single images with their place in the patient; read only.",
    suffixes=(".dcm",),
    begins=is_dicom,
    holds=holds_dicom,
    read_geometry=_read_geometry,
    read=_read,
    read_mask=_read_mask,
    data_files=_data_files,
    series_in=series_in,
)
