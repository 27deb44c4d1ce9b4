"""What a NIfTI header says beside the grid that is used."""

from __future__ import annotations

import gzip
import importlib
import io
import re
import zlib
from pathlib import Path
from typing import Any

from delineate.files import UnreadableFile, by_content
from delineate.files.nifti import nifti

TEXTS = ("descrip", "aux_file", "intent_name", "db_name")
HARMLESS = re.compile(
    r"|none|\d+(\.\d+)+.*|(fsl|spm|itk|nibabel|nnu|dcm2|freesurfer|ants|te=|tr=|time=).*",
    re.IGNORECASE | re.DOTALL,
)
"""What programs write there."""


def nifti_header(path: Path) -> Any | None:
    """The header of a NIfTI file; None of any other file, or if it cannot be read."""
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
    """The names of the text fields that hold more than programs write there."""
    found = []
    for name in TEXTS:
        text = header[name].tobytes().strip(b"\0 ").decode("latin-1")
        if not HARMLESS.fullmatch(text):
            found.append(f"NIfTI {name}")
    return found
