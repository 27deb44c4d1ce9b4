"""NRRD, by SimpleITK."""

from __future__ import annotations

from functools import partial

from delineate.files import _itk
from delineate.files._format import Format, as_image

_read = partial(_itk.image, "NrrdImageIO")
_write = partial(_itk.write, suffix=".nrrd")

nrrd = Format(
    about="NRRD: 2D images and volumes of any depth with their place in the patient.",
    suffixes=(".nrrd",),
    begins=lambda head: head.startswith(b"NRRD000"),
    read_geometry=partial(_itk.geometry, "NrrdImageIO"),
    read=_read,
    read_mask=_read,
    write=_write,
    write_mask=as_image(_write),
)
