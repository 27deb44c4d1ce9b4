"""Sliding windows, for images larger than a network is meant to see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from delineate.core import Network, Output


@dataclass(frozen=True)
class Windowed:
    """A network applied window by window; overlapping logits are averaged.

    size: samples of a window along each axis; an image smaller than that is padded with its border.
    overlap: part of a window shared with the next one, in [0, 1); windows are spread evenly.
    weight: "gaussian" trusts a window's centre more than its border (sigma size / 8, as nnU-Net), "uniform" not.
    """

    network: Network
    size: Sequence[int]
    overlap: float = 0.5
    weight: Literal["gaussian", "uniform"] = "gaussian"

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap is {self.overlap}; expected a number from 0 to below 1.")
        if any(n < 1 for n in self.size):
            raise ValueError(f"window size is {tuple(self.size)}; every axis needs a sample.")

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """Logits for the whole image; side outputs are dropped.

        Raises:
            ValueError: a window of another number of axes, or a network with another head than the dense one.
        """
        spatial = pixels.shape[2:]
        if len(self.size) != len(spatial):
            raise ValueError(f"window {tuple(self.size)} does not fit an image of shape {spatial}.")
        gaps = [max(0, w - n) for w, n in zip(self.size, spatial, strict=True)]
        if any(gaps):
            around = [(0, 0), (0, 0), *((g // 2, g - g // 2) for g in gaps)]
            pixels = np.pad(pixels, around, mode="edge")
        whole = (slice(None), slice(None))  # batch and channels
        weight = self._weights()
        total: np.ndarray | None = None
        seen = np.zeros(pixels.shape[2:], dtype=np.float32)
        for box in self._windows(pixels.shape[2:]):
            output = self.network(np.ascontiguousarray(pixels[whole + box]))
            if output.heads != ("dense",):
                raise ValueError(
                    f"sliding windows join dense logits only, and the network gives {', '.join(output.heads)}. "
                    "Leave the window out of predict."
                )
            logits = output.logits
            if total is None:
                total = np.zeros((*logits.shape[:2], *pixels.shape[2:]), dtype=np.float32)
            total[whole + box] += logits * weight
            seen[box] += weight
        assert total is not None
        inner = tuple(slice(g // 2, g // 2 + n) for g, n in zip(gaps, spatial, strict=True))
        return Output((total / seen)[whole + inner])

    def _windows(self, shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
        starts = []
        for n, w in zip(shape, self.size, strict=True):
            step = max(1.0, w * (1 - self.overlap))
            count = 1 + int(np.ceil((n - w) / step))
            starts.append(np.linspace(0, n - w, count).round().astype(int))
        for corner in product(*starts):
            yield tuple(slice(int(s), int(s) + w) for s, w in zip(corner, self.size, strict=True))

    def _weights(self) -> np.ndarray:
        weight = np.ones(tuple(self.size), dtype=np.float32)
        if self.weight == "uniform":
            return weight
        for axis, n in enumerate(self.size):
            along = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
            weight *= along.reshape([-1 if a == axis else 1 for a in range(weight.ndim)])
        # the corner of a window may be the only one to see a pixel
        return np.maximum(weight, 1e-3).astype(np.float32)
