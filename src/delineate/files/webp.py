"""WebP of one frame, by Pillow."""

from __future__ import annotations

from functools import partial

from delineate.files import _pillow
from delineate.files._format import Format

webp = Format(
    about="WebP: 8 bits, RGB, one frame; read only.",
    suffixes=(".webp",),
    begins=lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP",
    read_geometry=partial(_pillow.geometry, "WebP"),
    read=partial(_pillow.image, "WebP"),
    read_mask=partial(_pillow.mask, "WebP"),
)
