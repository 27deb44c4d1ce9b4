"""What there is to see in a small picture, whatever its light, colour and compression."""

from __future__ import annotations

import cv2
import numpy as np

SURROUNDINGS = 2.0
"""Sigma, in samples, of what a sample is compared with."""


def detail(plane: np.ndarray, inside: np.ndarray, sigma: float = SURROUNDINGS) -> np.ndarray:
    """How much lighter each sample is than its surroundings; 0 outside the picture.

    In units of how much there is to see nearby, so that no single highlight decides.
    """
    above = lighter(plane, inside, sigma)
    varies = np.sqrt(_around(above**2, inside, 2 * sigma))
    usual = np.sqrt((above**2).sum() / max(inside.sum(), 1))
    return np.asarray(above / (varies + 0.25 * usual + 1e-6) * inside, np.float32)


def lighter(plane: np.ndarray, inside: np.ndarray, sigma: float = SURROUNDINGS) -> np.ndarray:
    """How many grey levels each sample is lighter than its surroundings; 0 outside the picture."""
    return np.asarray((plane - _around(plane, inside, sigma)) * inside)


def shrunk(plane: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture at another side, and 1 where there is one."""
    inside = (plane > 0).astype(np.float32)
    grey, share = (
        cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA)
        for a in (plane.astype(np.float32), inside)
    )
    return grey / np.maximum(share, 1e-3), (share > 0.5).astype(np.float32)


def _around(plane: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of what is inside, around each sample."""
    share = cv2.GaussianBlur(inside, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(plane * inside, (0, 0), sigma) / np.maximum(share, 1e-3))
