"""The formats at hand, and which one a file is in or is to be written in."""

from __future__ import annotations

import stat
import zlib
from functools import cache
from pathlib import Path
from typing import cast

from delineate.files._format import Format, UnreadableFile
from delineate.resolve import names, resolve


def image_suffixes() -> frozenset[str]:
    """Every ending that can be read, in lower case; ".nii.gz" is one.

    >>> {".png", ".jpg", ".nii.gz"} <= image_suffixes()
    True
    """
    return frozenset(suffix for form in formats() for suffix in form.suffixes)


def mask_suffix(path: str | Path) -> str:
    """The ending under which a mask of this image is written: its own, or ".png" where that would do damage.

    >>> mask_suffix("a.JPG"), mask_suffix("b.nii.gz"), mask_suffix("c.tif")
    ('.png', '.nii.gz', '.tif')

    Raises:
        UnreadableFile: the ending is unknown, and so is the content.
    """
    form, suffix = by_ending(path)
    if form is None:
        form = by_content(Path(path))
        suffix = form.suffixes[0]
    return suffix if form.write_mask else ".png"


@cache
def formats() -> tuple[Format, ...]:
    """Every format, by name."""
    return tuple(cast(Format, resolve("formats", name)) for name in names("formats"))


def by_ending(path: str | Path) -> tuple[Format | None, str]:
    """The format that a name asks for, and the ending that says so; None and "" if it asks for none."""
    name = Path(path).name.lower()
    found = [(s, form) for form in formats() for s in form.suffixes if name.endswith(s)]
    suffix, form = max(found, key=lambda pair: len(pair[0]), default=("", None))
    return form, suffix


def by_content(path: Path) -> Format:
    """The format a file is in, whatever its name.

    Raises:
        UnreadableFile: missing, not a file, empty, or in no known format.
    """
    head = _head(path)
    for form in formats():
        if form.begins(head):
            return form
    raise UnreadableFile(f"{path}: {_words(head)}")


def _head(path: Path) -> bytes:
    """The first bytes of a file, with gzip undone."""
    try:
        if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableFile(
                f"{path}: is not a regular file but a pipe or a device. Copy what it gives to a file first."
            )
        with path.open("rb") as file:
            head = file.read(1024)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: no such file. Check the path.") from None
    except OSError as error:
        raise UnreadableFile(
            f"{path}: cannot be opened ({error.strerror}). Is it a file you may read?"
        ) from error
    if head.startswith(b"\x1f\x8b"):
        try:
            # No more than the header of NIfTI: at the end, a wrong checksum would hide what the file is.
            return zlib.decompressobj(wbits=31).decompress(head, 352)
        except zlib.error:
            return head
    return head


def _words(head: bytes) -> str:
    """What a file in no known format is, and what to do."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    readable = f"Endings that can be read: {' '.join(sorted(image_suffixes()))}."
    if not head:
        return "is empty (0 bytes). Copy, download or export it again."
    if start[:14].lower().startswith((b"<!doctype html", b"<html")):
        return (
            "is a web page (HTML), not an image. Download it again; the address may have expired."
        )
    if head[128:132] == b"DICM":
        return f"is DICOM. Convert it, to NIfTI for example. {readable}"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return f"is text that begins with {start[:24].decode('utf-8', 'replace')!r}. {readable}"
    return f"is in no known format; it begins with the bytes {head[:8].hex(' ')}. {readable}"
