"""Decode with OpenCV: colours of more than 8 bits, which Pillow would reduce to 8, and large pictures."""

from __future__ import annotations

import cv2
import numpy as np


def decode(data: bytes, *, grey: bool) -> np.ndarray:
    """Decode a picture in its dtype, (row, column) or (row, column, 3) RGB, without alpha; it is not rotated."""
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("its data are damaged")
    return _plain(decoded, grey=grey)


def decode_all(data: bytes) -> list[np.ndarray]:
    """Decode all pages of a colour file, each as in `decode`."""
    done, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if not done:
        raise ValueError("its data are damaged")
    return [_plain(page, grey=False) for page in pages]


def encode(pixels: np.ndarray, suffix: str) -> bytes:
    """Encode (row, column, 3) RGB pixels in the format of an ending."""
    done, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"OpenCV cannot encode {pixels.shape} {pixels.dtype} as {suffix}.")
    return bytes(data)


def _plain(decoded: np.ndarray, *, grey: bool) -> np.ndarray:
    if grey:
        return np.ascontiguousarray(decoded if decoded.ndim == 2 else decoded[..., 0])
    if decoded.shape[-1] == 4:
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGRA2RGB))
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))
