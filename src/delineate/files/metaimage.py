"""MetaImage, by SimpleITK."""

from __future__ import annotations

import re
from functools import partial

from delineate.files import _itk
from delineate.files._format import Format, as_image

_read = partial(_itk.image, "MetaImageIO")
# An .mhd is written with its pixels inside ("ElementDataFile = LOCAL"): of two files, one may be missing.
_write = partial(_itk.write, suffix=".mha")

metaimage = Format(
    about="MetaImage: 2D images and volumes of any depth with their place in the patient.",
    suffixes=(".mha", ".mhd"),
    begins=lambda head: re.match(rb"\s*(ObjectType|Comment|NDims)\s*=", head) is not None,
    read_geometry=partial(_itk.geometry, "MetaImageIO"),
    read=_read,
    read_mask=_read,
    write=_write,
    write_mask=as_image(_write),
)
