"""The header of a DICOM file: the attributes that decide what its pixels mean and where they lie."""

from __future__ import annotations

import importlib
import io
import math
import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from delineate.files._format import MOST_BYTES, UnreadableFile
from delineate.files._unpack import AGAIN

INSTALL = 'pip install "delineate[dicom]"'
PREAMBLE = 132
UNDEFINED = 0xFFFFFFFF
PIXELS = 0x7FE00010
FLOAT_PIXELS = (0x7FE00008, 0x7FE00009)
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
PLAIN = (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED)
"""Transfer syntaxes whose pixels are not compressed."""

QUICK_BYTES = 1 << 14
"""The header of a plain slice is usually shorter."""
EXPLICIT_ELEMENT = struct.Struct("<HH2sH")
LENGTH = struct.Struct("<I")
LONG_TYPES = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
TYPES = LONG_TYPES | {
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
}  # fmt: skip
"""Value representations; those of `LONG_TYPES` have a length of 32 bits (PS3.5, section 7.1.2)."""

MOST_INFLATED = 16 << 20
MOST_RATIO = 50
"""A deflated file may unpack to `MOST_INFLATED` bytes, or to this multiple of its size if that is more."""
MOST_VALUE = 1 << 16
"""Maximum bytes of one attribute of `TAGS`. They are kept for each file of a series."""

TAGS = {
    "ImageType": 0x00080008, "SOPClassUID": 0x00080016, "SOPInstanceUID": 0x00080018, "Modality": 0x00080060,
    "SeriesDescription": 0x0008103E, "PatientID": 0x00100020, "SliceThickness": 0x00180050,
    "EchoTime": 0x00180081, "EchoNumbers": 0x00180086, "TriggerTime": 0x00181060,
    "EstimatedRadiographicMagnificationFactor": 0x00181114, "ImagerPixelSpacing": 0x00181164,
    "NominalScannedPixelSpacing": 0x00182010, "DiffusionBValue": 0x00189087, "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E, "SeriesNumber": 0x00200011, "AcquisitionNumber": 0x00200012,
    "ImagePositionPatient": 0x00200032, "ImageOrientationPatient": 0x00200037, "FrameOfReferenceUID": 0x00200052,
    "TemporalPositionIdentifier": 0x00200100, "SamplesPerPixel": 0x00280002,
    "PhotometricInterpretation": 0x00280004, "PlanarConfiguration": 0x00280006, "NumberOfFrames": 0x00280008,
    "Rows": 0x00280010, "Columns": 0x00280011, "PixelSpacing": 0x00280030, "BitsAllocated": 0x00280100,
    "BitsStored": 0x00280101, "HighBit": 0x00280102, "PixelRepresentation": 0x00280103,
    "PixelPaddingValue": 0x00280120, "PixelPaddingRangeLimit": 0x00280121, "RescaleIntercept": 0x00281052,
    "RescaleSlope": 0x00281053, "ModalityLUTSequence": 0x00283000,
    "SharedFunctionalGroupsSequence": 0x52009229, "PerFrameFunctionalGroupsSequence": 0x52009230,
}  # fmt: skip
"""The attributes that are read, by keyword."""
SYNTAX, CLASS = 0x00020010, 0x00020002
WANTED = {*TAGS.values(), SYNTAX, CLASS}
SEQUENCES = {TAGS[name] for name in TAGS if name.endswith("Sequence")}


@dataclass(frozen=True, eq=False)
class Header:
    """The header of one file.

    syntax: the UID of the transfer syntax.
    values: the stored bytes of the attributes of `TAGS` that have a value, by tag; b"" for a sequence.
    start, length: where the pixels are in the file, or in the inflated file; (0, 0) if there are none. The length is
        `UNDEFINED` for compressed pixels.
    tag: `PIXELS` or one of `FLOAT_PIXELS`.
    kind: the UID of its SOP class; "" if there is none.
    size: bytes of the file.
    end: bytes of the file, or of the inflated file. Inflated bytes are not kept, as a series may have many files.
    """

    path: Path
    syntax: str
    values: Mapping[int, bytes]
    start: int
    length: int
    tag: int
    size: int
    end: int
    kind: str = ""

    @property
    def big_endian(self) -> bool:
        """Whether numbers are stored with the highest byte first."""
        return self.syntax == BIG_ENDIAN

    def has(self, keyword: str) -> bool:
        """Whether the attribute is there, with a value."""
        return TAGS[keyword] in self.values

    def text(self, keyword: str) -> str:
        """The value as text without control characters; "" if there is none."""
        data = self.values.get(TAGS[keyword], b"")
        try:
            text = data.decode("utf-8").strip(" \0")
        except UnicodeDecodeError:  # a single byte for each letter is the most frequent other set
            text = data.decode("latin-1").strip(" \0")
        return text if text.isprintable() else "".join(c for c in text if c.isprintable())

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """The values of a decimal or integer string; () if there are none.

        Raises:
            UnreadableFile: a value is not a finite number.
        """
        text = self.text(keyword)
        if not text:
            return ()
        try:
            found = tuple(float(word) for word in text.split("\\"))
        except ValueError:
            found = (math.nan,)
        if not all(math.isfinite(number) for number in found):
            raise UnreadableFile(
                f"has {keyword} = {text[:40]!r}; expected numbers. Export it again."
            )
        return found

    def whole(self, keyword: str, default: int = 0, *, signed: bool = False) -> int:
        """The value of a 16-bit whole number."""
        data = self.values.get(TAGS[keyword], b"")
        if not data:
            return default
        return int.from_bytes(data[:2], "big" if self.big_endian else "little", signed=signed)

    def opened(self) -> BinaryIO:
        """The file, or its inflated content, to be closed by the caller."""
        file = self.path.open("rb")
        if self.syntax != DEFLATED:
            return file
        with file:
            _meta(file)
            return io.BytesIO(_inflated(file, self.size))

    def dataset(self, *, pixels: bool = False) -> Any:
        """All attributes, as pydicom gives them; without the pixels unless they are asked for."""
        with closing(self.opened()) as file:
            if self.syntax != DEFLATED:
                _meta(file)
            return _reader().read_dataset(
                file,
                self.syntax == IMPLICIT,
                not self.big_endian,
                stop_when=None
                if pixels
                else lambda tag, vr, length: tag in (PIXELS, *FLOAT_PIXELS),
            )


def is_dicom(head: bytes) -> bool:
    """Whether the first bytes of a file are those of DICOM: 128 of any value, then "DICM"."""
    return head[128:PREAMBLE] == b"DICM"


def read_header(path: Path) -> Header:
    """Read the header of a DICOM file.

    Raises:
        UnreadableFile: pydicom is not installed, the file ends within its header, or it inflates to too many bytes.
    """
    _reader()
    with path.open("rb", buffering=0) as file:
        start = file.read(QUICK_BYTES)
        size = os.fstat(file.fileno()).st_size
    quick = _quick(path, start, size)
    return quick if quick is not None else _slow(path, size)


def _slow(path: Path, size: int) -> Header:
    """Read a header with pydicom."""
    with path.open("rb") as file:
        meta = _meta(file)
        syntax = str(meta.get("TransferSyntaxUID", "")).strip(" \0")
        if not syntax:
            raise UnreadableFile(f"is DICOM without a transfer syntax. {AGAIN}")
        inflated = _inflated(file, size) if syntax == DEFLATED else None
        with closing(file if inflated is None else io.BytesIO(inflated)) as body:
            header = _read(path, syntax, body, size, size if inflated is None else len(inflated))
    declared = str(meta.get("MediaStorageSOPClassUID", "")).strip(" \0")
    return replace(header, kind=header.text("SOPClassUID") or declared)


def _quick(path: Path, start: bytes, size: int) -> Header | None:
    """Read the header of a plain slice from the first bytes of its file; None for what `_slow` must read.

    pydicom takes most of the time that a series takes, because it makes an object of each attribute. Here only the
    bytes of the attributes of `TAGS` are kept. Covered are little endian files with attributes in ascending order, of
    known types and defined lengths, whose pixels begin within `start`, and which have none of the sequences of `TAGS`.
    """
    meta = _walk(start, PREAMBLE, implicit=False, stop=0x00030000)
    if meta is None:
        return None
    syntax = meta.values.get(SYNTAX, b"").decode("latin-1").strip(" \0")
    if syntax in ("", BIG_ENDIAN, DEFLATED):
        return None
    implicit = syntax == IMPLICIT
    if (start[meta.at + 4 : meta.at + 6] in TYPES) == implicit:  # not what the syntax says
        return None
    found = _walk(start, meta.at, implicit=implicit, stop=FLOAT_PIXELS[0])
    if found is None or found.tag != PIXELS:
        return None
    if not implicit and start[found.at + 4 : found.at + 6] not in TYPES:
        return None
    header = Header(path, syntax, found.values, found.start, found.length, PIXELS, size, size)
    declared = meta.values.get(CLASS, b"").decode("latin-1").strip(" \0")
    return replace(header, kind=header.text("SOPClassUID") or declared)


class Walk(NamedTuple):
    """Where a walk ended: the element `tag` at byte `at`, whose value has `length` bytes from byte `start` on."""

    values: dict[int, bytes]
    tag: int
    at: int
    start: int
    length: int


def _walk(data: bytes, at: int, *, implicit: bool, stop: int) -> Walk | None:
    """Walk over the elements from byte `at` to the first whose tag is `stop` or more; None if that cannot be done."""
    values: dict[int, bytes] = {}
    last = 0
    try:
        while True:
            group, element, kind, length = EXPLICIT_ELEMENT.unpack_from(data, at)
            tag = group << 16 | element
            start = at + 8
            if implicit:
                length = LENGTH.unpack_from(data, at + 4)[0]
            elif kind in LONG_TYPES:
                length = LENGTH.unpack_from(data, start)[0]
                start += 4
            if tag >= stop:
                return Walk(values, tag, at, start, length)
            if tag <= last or length == UNDEFINED or not (implicit or kind in TYPES):
                return None
            at = start + length
            if tag in WANTED and length:
                if tag in SEQUENCES or at > len(data):
                    return None
                values[tag] = data[start:at]
            last = tag
    except struct.error:  # goes on after these bytes
        return None


def _read(path: Path, syntax: str, body: BinaryIO, size: int, end: int) -> Header:
    found: list[tuple[int, int, int]] = []

    def stop(tag: int, vr: str | None, length: int) -> bool:
        """Note the element, and the bytes before its value: pydicom tells whether it found a VR, declared or not."""
        if tag >> 16 > 0x7FE0 or tag in (PIXELS, *FLOAT_PIXELS):
            found.append((int(tag), length, 12 if (vr or "").encode() in LONG_TYPES else 8))
            return True
        return False

    implicit, big = syntax == IMPLICIT, syntax == BIG_ENDIAN
    dataset = _reader().read_dataset(
        body, implicit, not big, stop_when=stop, specific_tags=list(TAGS.values())
    )
    values: dict[int, bytes] = {}
    for name, tag in TAGS.items():
        if tag in dataset:
            raw = b"" if tag in SEQUENCES else getattr(dataset.get_item(tag), "value", None)
            if tag in SEQUENCES or (isinstance(raw, bytes) and raw):
                values[tag] = bytes(raw or b"")
            if len(values.get(tag, b"")) > MOST_VALUE:
                raise UnreadableFile(
                    f"has {len(values[tag])} bytes as {name}; expected at most {MOST_VALUE}. {AGAIN}"
                )
    tag, length, before = found[-1] if found else (0, 0, 0)
    start = 0
    if tag in (PIXELS, *FLOAT_PIXELS):
        start = body.tell() + before
    return Header(path, syntax, values, start, length if start else 0, tag, size, end)


def _meta(file: BinaryIO) -> Any:
    """The file meta information; the file is then at the start of the data set."""
    file.seek(PREAMBLE)
    return _reader().read_dataset(
        file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2
    )


def _inflated(file: BinaryIO, size: int) -> bytes:
    """The rest of a deflated file, unpacked up to a limit."""
    most = min(max(MOST_INFLATED, MOST_RATIO * size), MOST_BYTES)
    unpacker = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    data = unpacker.decompress(file.read(), most)
    if unpacker.unconsumed_tail and not unpacker.eof:
        raise UnreadableFile(
            f"is deflated DICOM of {size} bytes that unpacks to more than {most}. It is malicious, or mostly empty: "
            "write it uncompressed first."
        )
    if not unpacker.eof:
        raise UnreadableFile(f"ends before the end of its deflated data. {AGAIN}")
    return data


def _reader() -> Any:
    try:
        return importlib.import_module("pydicom.filereader")
    except ModuleNotFoundError as error:
        raise UnreadableFile(
            f"is DICOM, and pydicom is not installed. Install it with: {INSTALL}"
        ) from error


def require_pydicom() -> None:
    """Check that DICOM can be read here.

    Raises:
        UnreadableFile: pydicom is not installed; says how to install it.
    """
    _reader()


def vector(header: Header, keyword: str, size: int) -> np.ndarray:
    """The numbers of an attribute, (size,).

    Raises:
        UnreadableFile: another count of numbers.
    """
    numbers = header.numbers(keyword)
    if len(numbers) != size:
        raise UnreadableFile(
            f"has {len(numbers)} numbers as {keyword} in {header.path.name}; expected {size}. Export it again."
        )
    return np.array(numbers)
