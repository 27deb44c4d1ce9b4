"""Test-time augmentation by flips."""

from __future__ import annotations

from functools import partial
from itertools import chain, combinations
from typing import Annotated

import numpy as np
from annotated_types import Ge, Len

from delineate.arguments import Axis
from delineate.core import Network, Output
from delineate.inference.wrappers._mean import mean_output


def flips(
    network: Network, axes: Annotated[tuple[Annotated[Axis, Ge(0)], ...], Len(1, 3)]
) -> Network:
    """The mean of a network's logits, dense and image-level, over every combination of flips along `axes`.

    Side outputs are dropped. A network with an objects head is refused.

    Args:
        network: the network to wrap.
        axes: spatial axes, the first is 0; two axes make four passes, three make eight. Leave out the left-right axis
            if labels distinguish left from right.
    """
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes is {list(axes)}; expected each axis once.")
    return partial(_over_flips, network, tuple(axes))


def _over_flips(network: Network, axes: tuple[int, ...], pixels: np.ndarray) -> Output[np.ndarray]:
    """Mean logits.

    Raises:
        ValueError: axes that the image does not have, or a network with an objects head.
    """
    last = pixels.ndim - 3
    if any(not 0 <= axis <= last for axis in axes):
        raise ValueError(f"the axes of flips are {list(axes)}; the images have axes 0 to {last}.")
    subsets = chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1))
    return mean_output((_flipped(network, pixels, subset) for subset in subsets), "flips")


def _flipped(network: Network, pixels: np.ndarray, axes: tuple[int, ...]) -> Output[np.ndarray]:
    """The network's output for a flipped image, flipped back."""
    turned = tuple(axis + 2 for axis in axes)
    output = network(np.ascontiguousarray(np.flip(pixels, turned)))
    dense = None if output.dense is None else np.flip(output.dense, turned)
    return Output(dense=dense, image=output.image, objects=output.objects)
