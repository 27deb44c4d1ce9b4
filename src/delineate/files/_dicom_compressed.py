"""The compressed frames of a DICOM file: checked by the size that their codestream declares, and decoded."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from delineate.files._dicom_header import INSTALL, RLE, Header
from delineate.files._dicom_plane import frame_count
from delineate.files._format import UnreadableFile
from delineate.files._unpack import AGAIN

PLUGINS = ("pylibjpeg", "pyjpegls", "gdcm", "pillow", "pydicom")
"""Decoders of pydicom, the preferred one first."""
DECOMPRESS = "Decompress it first, with dcmdjpeg of DCMTK."
JPEG, JPEG2000, BOXES = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Markers SOF of JPEG (ISO/IEC 10918-1, table B.1) and JPEG-LS (ISO/IEC 14495-1, C.1.1)."""
DISCRETE_COSINE = (0xC0, 0xC1, 0xC2)
"""SOF of the lossy processes that decoders are built for 8 bits for."""
START_OF_SCAN, END, PRESETS = 0xDA, 0xD9, 0xF8
ALONE = frozenset({*range(0xD0, 0xD9), 0x01})
"""Markers without a segment."""


def decoded(header: Header, frames: Sequence[int], *, raw: bool) -> Iterator[np.ndarray]:
    """Compressed frames by a decoder of pydicom."""
    found = decoder(header)
    plugin = next(name for name in PLUGINS if name in found.available_plugins)
    with header.opened() as file:
        file.seek(header.start)
        data = file.read()
    _check_frames(header, data, frames, twelve=plugin == "pylibjpeg")
    try:
        for pixels, _ in found.iter_array(
            data,
            indices=frames,
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
        ):
            yield np.asarray(pixels)
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ != "PanicException":
            raise
        # pylibjpeg-rle panics on damaged data, and the panic of Rust is no Exception
        raise UnreadableFile(
            f"has damaged pixels in {header.path.name} ({error}). {AGAIN}"
        ) from error


def _check_frames(header: Header, data: bytes, frames: Sequence[int], *, twelve: bool) -> None:
    """Refuse frames whose codestream declares another size than the header, before a decoder takes memory for them.

    twelve: whether the decoder reads JPEG of 12 bits.
    """
    if header.syntax == RLE:  # has no size of its own, and cannot pack more than 64 bytes into one
        return
    get_frame = importlib.import_module("pydicom.encaps").get_frame
    declared = tuple(header.whole(k, 1) for k in ("Rows", "Columns", "SamplesPerPixel"))
    name = header.path.name
    for index in frames:
        found = codestream(get_frame(data, index, number_of_frames=frame_count(header)))
        if found is None:
            raise UnreadableFile(f"has compressed pixels in {name} that tell no size. {AGAIN}")
        if found[:3] != declared:
            raise UnreadableFile(
                f"has compressed pixels of {_times(found[:3])} samples in {name}, but its header declares "
                f"{_times(declared)}. It is damaged or malicious. {AGAIN}"
            )
        if found.twelve and not twelve:
            raise UnreadableFile(
                f"is compressed as JPEG with 12 bits in {name}, and no decoder for it is installed. {DECOMPRESS}"
            )


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(str(number) for number in numbers)


def decoder(header: Header) -> Any:
    """The decoder of pydicom for the transfer syntax of a file.

    Raises:
        UnreadableFile: there is none, or what it needs is not installed.
    """
    from pydicom.uid import UID

    name = UID(header.syntax).name
    try:
        found = importlib.import_module("pydicom.pixels").get_decoder(header.syntax)
    except NotImplementedError:
        raise UnreadableFile(
            f"is compressed as {name}, and no decoder for it is installed. {DECOMPRESS}"
        ) from None
    if not found.is_available:
        raise UnreadableFile(
            f"is compressed as {name}, and no decoder for it is installed. Install it with: {INSTALL}"
        )
    return found


# The size of a codestream


class Codestream(NamedTuple):
    """rows, columns and samples per pixel of a codestream; twelve: whether it is lossy JPEG of 12 bits."""

    rows: int
    columns: int
    samples: int
    twelve: bool = False


def codestream(data: bytes) -> Codestream | None:
    """What a codestream declares of itself; None if it declares nothing, or several things."""
    if data.startswith(JPEG):
        return _jpeg(data)
    if data.startswith(BOXES):
        data = _content(data)
    return _jpeg2000(data) if data.startswith(JPEG2000) else None


def _jpeg(data: bytes) -> Codestream | None:
    """From the one marker segment SOF before the first scan."""
    found = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (START_OF_SCAN, END):
            break
        if marker == 0xFF or marker in ALONE:  # 255 may fill up before a marker
            at += 1 if marker == 0xFF else 2
            continue
        if marker in FRAMES and at + 10 <= at + 2 + length <= len(data):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 4)
            twelve = marker in DISCRETE_COSINE and bits > 8
            found.append(Codestream(rows, columns, samples, twelve))
        if marker == PRESETS and data[at + 4 : at + 5] == b"\4":  # a size of more than 16 bits
            return None
        at += 2 + length
    return found[0] if len(found) == 1 else None


def _content(data: bytes) -> bytes:
    """The codestream within the boxes of a JP2 file (ISO/IEC 15444-1, I.4); b"" if there is none."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"jp2c":
            return data[at + (16 if length == 1 else 8) :]
        if length < 8:  # to the end of the file, or more than 32 bits
            break
        at += length
    return b""


def _jpeg2000(data: bytes) -> Codestream | None:
    """From the marker segment SIZ, which comes first (ISO/IEC 15444-1, A.5.1)."""
    if len(data) < 42:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    return Codestream(bottom - top, right - left, int.from_bytes(data[40:42], "big"))
