"""Memory order of pixels: channel first as the package sees them, channel last as OpenCV does."""

from __future__ import annotations

import numpy as np


def interleaved(pixels: np.ndarray) -> np.ndarray:
    """(channel, *spatial) -> (*spatial, channel), contiguous; no copy where a photograph already lies so."""
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))


def channel_first(pixels: np.ndarray) -> np.ndarray:
    """(*spatial, channel) -> (channel, *spatial): a view."""
    return np.moveaxis(pixels, -1, 0)


def is_interleaved(pixels: np.ndarray) -> bool:
    """Whether (channel, *spatial) is a view on channel-last memory."""
    return bool(np.moveaxis(pixels, 0, -1).flags.c_contiguous)
