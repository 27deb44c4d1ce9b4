"""GIF of one frame, by Pillow."""

from __future__ import annotations

from functools import partial

from delineate.files import _pillow
from delineate.files._format import Format

PACKING = 4096
"""Maximum pixels per byte: a code of 12 bits represents fewer than 4096 pixels."""

gif = Format(
    about="GIF: one frame of up to 256 colours; read only.",
    suffixes=(".gif",),
    begins=lambda head: head.startswith((b"GIF87a", b"GIF89a")),
    read_geometry=partial(_pillow.geometry, "Gif", packing=PACKING),
    read=partial(_pillow.image, "Gif", packing=PACKING),
    read_mask=partial(_pillow.mask, "Gif", packing=PACKING),
)
