"""What OpenCV decodes: colours of more than eight bits, which Pillow cuts down, and any large picture."""

from __future__ import annotations

import cv2
import numpy as np


def decode(data: bytes, *, grey: bool) -> np.ndarray:
    """One picture in its own depth, (row, column) or (row, column, 3) RGB; alpha is dropped, nothing turned."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ValueError("its data are damaged")
    return _plain(found, grey=grey)


def decode_all(data: bytes) -> list[np.ndarray]:
    """Every page of a file in colour, as `decode` has one."""
    done, found = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if not done:
        raise ValueError("its data are damaged")
    return [_plain(page, grey=False) for page in found]


def encode(pixels: np.ndarray, suffix: str) -> bytes:
    """(row, column, 3) RGB pixels in the format of an ending."""
    done, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"OpenCV cannot encode {pixels.shape} {pixels.dtype} as {suffix}.")
    return bytes(data)


def _plain(found: np.ndarray, *, grey: bool) -> np.ndarray:
    if grey:
        return np.ascontiguousarray(found if found.ndim == 2 else found[..., 0])
    if found.shape[-1] == 4:
        return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGRA2RGB))
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB))
