"""What a NIfTI header says beside the grid that is used."""

from __future__ import annotations

import gzip
import importlib
import io
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

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


def two_places(header: Any) -> float:
    """How far apart sform and qform put a sample, at most, in samples; 0 where only one is declared."""
    try:
        (first, one), (second, other) = (
            get(coded=True) for get in (header.get_sform, header.get_qform)
        )
    except ValueError:  # a quaternion longer than 1
        return 0.0
    if not one or not other or not np.isfinite([first, second]).all():
        return 0.0
    shape = [*header.get_data_shape(), 1, 1, 1][:3]
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    ends = np.vstack([corners, np.ones(corners.shape[1])])
    gap = np.linalg.norm((first - second) @ ends, axis=0).max()
    return float(gap / max(np.linalg.norm(first[:3, :3], axis=0).max(), 1e-6))


def nifti_texts(header: Any) -> list[str]:
    """The names of the text fields that hold more than programs write there."""
    found = []
    for name in TEXTS:
        text = header[name].tobytes().strip(b"\0 ").decode("latin-1")
        if not HARMLESS.fullmatch(text):
            found.append(f"NIfTI {name}")
    return found
