"""Convert images to one number of channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np

from delineate.prepare._arrays import channel_first, interleaved
from delineate.prepare._step import ValueStep


def channels(count: Literal[1, 3]) -> ValueStep:
    """Convert every image to grey (1) or RGB (3).

    RGB becomes grey by luma (ITU-R BT.601). Grey becomes RGB by repetition. An alpha channel is dropped.

    Args:
        count: the number of channels of the network's input.
    """
    return _Channels(count)


@dataclass(frozen=True)
class _Channels:
    count: Literal[1, 3]
    after_augment: ClassVar[bool] = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        given = pixels.shape[0]
        if given not in (1, 2, 3, 4):
            raise ValueError(
                f"channels: the image has {given} channels; expected 1 or 3 (grey or RGB), or 2 or 4 with alpha. "
                "Leave channels out."
            )
        opaque = pixels[: given - 1] if given in (2, 4) else pixels
        if opaque.shape[0] == self.count:
            return opaque
        if self.count == 3:
            return channel_first(np.repeat(interleaved(opaque), 3, axis=-1))
        return _luma(opaque)


def _luma(pixels: np.ndarray) -> np.ndarray:
    exact = (
        pixels if pixels.dtype in (np.uint8, np.uint16, np.float32) else pixels.astype(np.float32)
    )
    colours = interleaved(exact).reshape(pixels.shape[1], -1, 3)
    grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).reshape(1, *pixels.shape[1:])
    return (np.rint(grey) if pixels.dtype.kind in "iu" else grey).astype(pixels.dtype, copy=False)
