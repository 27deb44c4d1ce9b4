"""Decompress exactly as many bytes as a header declares, and verify the checksum."""

from __future__ import annotations

import bz2
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

import numpy as np
from isal import isal_zlib

from delineate.files._format import UnreadableFile

AGAIN = "Copy, download or export it again."
PIECE = 1 << 18
MOST_AT_ONCE = 1 << 20
"""Maximum number of decompressed bytes held in addition to the result."""

UNPACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: isal_zlib.decompressobj(wbits=31),
    "zlib": lambda: isal_zlib.decompressobj(),
    "zlib or gzip": lambda: isal_zlib.decompressobj(wbits=47),
    "bzip2": bz2.BZ2Decompressor,
}
DAMAGED = cast(type[Exception], isal_zlib.error)
SEVERAL = ("gzip", "bzip2")
"""Compressions that allow several concatenated streams, padded with zeros."""


def unpack(file: BinaryIO, size: int, packing: str) -> np.ndarray:
    """Decompress the rest of `file` to exactly `size` bytes, (size,) uint8.

    Memory is limited to `size` plus a constant, so a decompression bomb is harmless. Each stream is read to its end,
    so that the library verifies its checksum (Adler-32; CRC-32 and length; CRC-32 of each block).

    Raises:
        UnreadableFile: fewer or more bytes, a wrong checksum, or data that are not of this compression.
    """
    try:
        return _unpacked(file, size, packing)
    except (DAMAGED, OSError) as error:
        raise UnreadableFile(f"has damaged {packing} data ({error}). {AGAIN}") from error


def _unpacked(file: BinaryIO, size: int, packing: str) -> np.ndarray:
    unpacked = np.empty(size, np.uint8)
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
                unpacked[done : done + len(part)] = np.frombuffer(part, np.uint8)
                done += len(part)
            piece = unpacker.unused_data
    if not unpacker.eof:
        raise UnreadableFile(f"ends before the end-of-stream marker of its {packing} data. {AGAIN}")
    if done < size:
        raise UnreadableFile(f"unpacks to {done} bytes, but its header declares {size}. {AGAIN}")
    return unpacked


def _parts(unpacker: Any, piece: bytes) -> Iterator[bytes]:
    """The decompressed bytes of one piece, in parts of limited size."""
    part = unpacker.decompress(piece, MOST_AT_ONCE)
    while part:
        yield part
        if unpacker.eof:
            return
        part = unpacker.decompress(getattr(unpacker, "unconsumed_tail", b""), MOST_AT_ONCE)
