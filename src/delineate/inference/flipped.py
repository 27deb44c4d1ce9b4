"""Test-time augmentation by flips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from delineate.core import Network, Output
from delineate.inference.ensemble import mean


@dataclass(frozen=True)
class Flipped:
    """The mean of a network's logits, dense and image-level, over every combination of flips along `axes`.

    axes: spatial axes, 0 first; two axes make four passes, three make eight. Leave out the left-right axis
    where labels have sides.
    """

    network: Network
    axes: Sequence[int]

    def __call__(self, pixels: np.ndarray) -> Output[np.ndarray]:
        """Mean logits; side outputs are dropped.

        Raises:
            ValueError: axes that the image does not have, or a network with objects.
        """
        if any(not 0 <= axis < pixels.ndim - 2 for axis in self.axes):
            raise ValueError(f"flip axes are {tuple(self.axes)}; the image has {pixels.ndim - 2}.")
        return mean(self._seen(pixels, axes) for axes in _subsets(self.axes))

    def _seen(self, pixels: np.ndarray, axes: Sequence[int]) -> Output[np.ndarray]:
        """What the network says of a flipped image, flipped back."""
        turned = tuple(axis + 2 for axis in axes)
        output = self.network(np.ascontiguousarray(np.flip(pixels, turned)))
        dense = None if output.dense is None else np.flip(output.dense, turned)
        return Output(dense=dense, image=output.image, objects=output.objects)


def _subsets(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1))
