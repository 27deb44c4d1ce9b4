"""Packed bytes -> as many bytes as a header declares, no more and no fewer, with their checksum."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from delineate.files._format import UnreadableFile

AGAIN = "Copy, download or export it again."
PIECE = 1 << 18
MOST_AT_ONCE = 1 << 20
"""Unpacked bytes held beside the result."""

UNPACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zlib": lambda: zlib.decompressobj(),
    "zlib or gzip": lambda: zlib.decompressobj(wbits=47),
    "bzip2": bz2.BZ2Decompressor,
}
SEVERAL = ("gzip", "bzip2")
"""What may be several packed streams one after the other, padded with zeros."""


def unpack(file: BinaryIO, size: int, packing: str) -> np.ndarray:
    """Unpack the rest of `file` to exactly `size` bytes, (size,) uint8.

    The memory taken is `size` and a little more, whatever the file would unpack to. Reading to the end of each stream
    lets the library compare its checksum (Adler-32; CRC-32 and length; CRC-32 of each block).

    Raises:
        UnreadableFile: fewer or more bytes, a wrong checksum, or bytes that are not of this packing.
    """
    try:
        return _unpacked(file, size, packing)
    except (zlib.error, OSError) as error:
        raise UnreadableFile(f"has damaged {packing} data ({error}). {AGAIN}") from error


def _unpacked(file: BinaryIO, size: int, packing: str) -> np.ndarray:
    found = np.empty(size, np.uint8)
    done = 0
    unpacker = UNPACKERS[packing]()
    for piece in iter(lambda: file.read(PIECE), b""):
        while piece:
            if unpacker.eof and (packing not in SEVERAL or not piece.strip(b"\0")):
                if piece.strip(b"\0"):
                    raise UnreadableFile(f"goes on after the end of its {packing} data. {AGAIN}")
                break
            if unpacker.eof:
                unpacker = UNPACKERS[packing]()
            for part in _parts(unpacker, piece):
                if done + len(part) > size:
                    raise UnreadableFile(
                        f"unpacks to more than the {size} bytes that its header declares. {AGAIN}"
                    )
                found[done : done + len(part)] = np.frombuffer(part, np.uint8)
                done += len(part)
            piece = unpacker.unused_data
    if not unpacker.eof:
        raise UnreadableFile(f"ends before the end-of-stream marker of its {packing} data. {AGAIN}")
    if done < size:
        raise UnreadableFile(f"unpacks to {done} bytes, and its header declares {size}. {AGAIN}")
    return found


def _parts(unpacker: Any, piece: bytes) -> Iterator[bytes]:
    """All that one piece unpacks to, a little at a time."""
    part = unpacker.decompress(piece, MOST_AT_ONCE)
    while part:
        yield part
        if unpacker.eof:
            return
        part = unpacker.decompress(getattr(unpacker, "unconsumed_tail", b""), MOST_AT_ONCE)
