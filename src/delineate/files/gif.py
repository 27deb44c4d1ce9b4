"""GIF of one frame, by Pillow."""

from __future__ import annotations

from functools import partial

from delineate.files import _pillow
from delineate.files._format import Format

gif = Format(
    about="GIF: one frame of up to 256 colours; read only.",
    suffixes=(".gif",),
    begins=lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    read_geometry=partial(_pillow.geometry, "Gif"),
    read=partial(_pillow.image, "Gif"),
    read_mask=partial(_pillow.mask, "Gif"),
)
