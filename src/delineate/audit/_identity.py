"""Find identifiers in the headers of files. Values are read and never stored."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from delineate.audit._case_facts import IdentityFacts
from delineate.files import (
    UnreadableFile,
    by_content,
    dicom_texts,
    is_dicom_file,
    patient_id,
)
from delineate.files.nifti import nifti
from delineate.identifiers import is_identifier

DICOM = (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "PatientAddress", "PatientMotherBirthName", "PatientTelephoneNumbers", "PatientComments", "AccessionNumber",
    "InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "PhysiciansOfRecord", "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy", "OperatorsName", "StudyDate", "DeviceSerialNumber", "RequestingPhysician",
)  # fmt: skip
"""Direct and indirect identifiers of the basic confidentiality profile (DICOM PS3.15, annex E)."""

EXIF = {
    270: "ImageDescription", 315: "Artist", 316: "HostComputer", 33432: "Copyright", 33723: "IPTC",
    34853: "GPS position", 37510: "UserComment", 40091: "XPTitle", 40092: "XPComment",
    40093: "XPAuthor", 42032: "CameraOwnerName", 42033: "BodySerialNumber",
}  # fmt: skip
EXIF_PART, GPS_PART = 34665, 34853

PNG = ("Title", "Author", "Description", "Copyright", "Source", "Comment", "Disclaimer", "Warning")
"""Keywords of the PNG standard. Other keywords are not reported, because a keyword may itself be a name."""

NIFTI = ("descrip", "aux_file", "intent_name", "db_name")
HARMLESS = re.compile(
    r"|none|\d+(\.\d+)+.*|(fsl|spm|itk|nibabel|nnu|dcm2|freesurfer|ants|te=|tr=|time=).*",
    re.IGNORECASE | re.DOTALL,
)
"""Texts that programs write in these NIfTI fields."""

COMMENTS_BY_PROGRAMS = (b"created", b"creator", b"lavc", b"lead", b"file written", b"optimized")
BY_PROGRAMS = ("Software", "Creation Time", "date:create", "date:modify", "date:timestamp")


def identity(path: Path) -> IdentityFacts:
    """The names of the non-empty fields of a file that may identify a person."""
    if is_dicom_file(path):
        found = dicom_texts(path, (*DICOM, "BurnedInAnnotation", "Modality"))
        return IdentityFacts(
            tuple(name for name in DICOM if name in found),
            found.get("BurnedInAnnotation", "").upper(),
            found.get("Modality", "").upper(),
        )
    header = nifti_header(path)
    if header is not None:
        return IdentityFacts(tuple(nifti_texts(header)))
    return IdentityFacts(tuple(_nrrd_texts(path) + _picture_texts(path)))


def patient(path: Path, secret: bytes) -> str:
    """A keyed digest of DICOM's PatientID; "" if there is none."""
    known = patient_id(path).strip()
    return hashlib.blake2b(known.encode(), key=secret, digest_size=8).hexdigest() if known else ""


def _picture_texts(path: Path) -> list[str]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            found = [f"EXIF {name}" for name in _exif(picture.getexif())]
            found += _png(getattr(picture, "text", {}) if picture.format == "PNG" else {})
            info = picture.info
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return []
    comment = info.get("comment") or b""
    comment = comment.encode() if isinstance(comment, str) else comment
    if comment and not comment.lower().startswith(COMMENTS_BY_PROGRAMS):
        found.append("comment")
    if info.get("xmp") or info.get("XML:com.adobe.xmp"):
        found.append("XMP")
    return found


def _exif(exif: Any) -> list[str]:
    tags = {**exif, **exif.get_ifd(EXIF_PART)}
    tags[GPS_PART] = exif.get_ifd(GPS_PART)
    own = ('{"shape"', "ImageJ=")  # written by tifffile and ImageJ: descriptions of the array
    return [
        name for tag, name in EXIF.items() if tags.get(tag) and not str(tags[tag]).startswith(own)
    ]


def _png(texts: Mapping[str, str]) -> list[str]:
    kept = [key for key in texts if key not in BY_PROGRAMS]
    found = [f"PNG {key}" for key in PNG if key in kept]
    return found + ["another PNG text"] * any(key not in PNG for key in kept)


def _nrrd_texts(path: Path) -> list[str]:
    """["NRRD text"] if the name of a key/value pair of an NRRD header, "name:=value", is an identifier."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if not head.startswith(b"NRRD"):
        return []
    keys = [
        line.split(b":=")[0].decode("latin-1")
        for line in head.split(b"\n\n")[0].splitlines()
        if b":=" in line
    ]
    return ["NRRD text"] * any(map(is_identifier, keys))


def nifti_header(path: Path) -> Any | None:
    """The header of a NIfTI file; None for other files, or if it cannot be read."""
    nibabel: Any = importlib.import_module("nibabel")
    try:
        if by_content(path) is not nifti:
            return None
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            head = file.read(544)
        kind = nibabel.Nifti2Header if head[4:8] == b"n+2\0" else nibabel.Nifti1Header
        return kind.from_fileobj(io.BytesIO(head), check=False)
    except (UnreadableFile, OSError, EOFError, zlib.error, nibabel.wrapstruct.WrapStructError):
        return None


def nifti_texts(header: Any) -> list[str]:
    """The names of the text fields whose value is not one that programs write."""
    found = []
    for name in NIFTI:
        text = header[name].tobytes().strip(b"\0 ").decode("latin-1")
        if not HARMLESS.fullmatch(text):
            found.append(f"NIfTI {name}")
    return found
