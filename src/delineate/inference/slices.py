"""Apply a 2D network to every slice of a volume."""

from __future__ import annotations

from functools import partial

import numpy as np

from delineate.core import Network, Output
from delineate.prepare import Slices, stacked

PIXELS = 1 << 18
"""Pixels in one call of the network, about; small slices are faster together, large ones one by one."""


def by_slices(network: Network, slices: Slices) -> Network:
    """A network for volumes that applies a 2D network to their slices.

    (batch, channel, *spatial) -> dense logits on the same grid: the mean over the axes along which slices are cut.
    """
    return partial(_by_slices, network, slices)


def _by_slices(network: Network, slices: Slices, pixels: np.ndarray) -> Output[np.ndarray]:
    """Logits of every volume of a batch.

    Raises:
        ValueError: no volume, or a network with a head other than the dense one.
    """
    total: np.ndarray | None = None
    for number, volume in enumerate(pixels):
        places = list(slices.positions(volume.shape[1:]))
        for axis in slices.axes:
            along = [index for one, index in places if one == axis]
            size = volume[0].size // len(along)
            for start in range(0, len(along), together := max(1, PIXELS // size)):
                part = along[start : start + together]
                batch = np.stack([stacked(slices.slab(volume, axis, i)) for i in part])
                output = network(np.ascontiguousarray(batch, np.float32))
                if output.heads != ("dense",):
                    raise ValueError(
                        f"slices need a network with dense logits only; this one has: {', '.join(output.heads)}. "
                        "Leave out slices."
                    )
                logits = output.logits
                if total is None:
                    total = np.zeros((len(pixels), logits.shape[1], *volume.shape[1:]), np.float32)
                into = np.moveaxis(total[number], 1 + axis, 0)[part[0] : part[-1] + 1]
                into += logits
    assert total is not None
    if len(slices.axes) > 1:
        total /= len(slices.axes)
    return Output(total)
