"""Test-time augmentation by flips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from delineate.core import Network, Output


@dataclass(frozen=True)
class Flipped:
    """The mean of a network's logits over every combination of flips along `axes`.

    axes: spatial axes, 0 first; two axes make four passes, three make eight. Leave out the left-right axis
    where labels have sides.
    """

    network: Network
    axes: Sequence[int]

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """Logits of the mean; side outputs are dropped."""
        if any(not 0 <= axis < pixels.ndim - 2 for axis in self.axes):
            raise ValueError(f"flip axes are {tuple(self.axes)}; the image has {pixels.ndim - 2}.")
        total: np.ndarray | None = None
        count = 0
        for axes in _subsets(self.axes):
            turned = tuple(axis + 2 for axis in axes)
            found = self.network(np.ascontiguousarray(np.flip(pixels, turned))).logits
            found = np.flip(found, turned)
            total = found.astype(np.float32) if total is None else total + found
            count += 1
        assert total is not None
        return Output(total / count)


def _subsets(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1))
