"""Test-time augmentation by flips."""

from __future__ import annotations

from functools import partial
from itertools import chain, combinations
from typing import Annotated

import numpy as np
from annotated_types import Ge, Len

from delineate.arguments import Axis
from delineate.core import LabelSet, Network, Output
from delineate.inference.wrappers._mean import mean_output


def flips(
    network: Network,
    axes: Annotated[tuple[Annotated[Axis, Ge(0)], ...], Len(1, 3)],
    swap: tuple[tuple[str, str], ...] | None = None,
    swap_axis: Axis = -1,
    *,
    labels: LabelSet | None = None,
) -> Network:
    """The mean of a network's logits, dense and image-level, over every combination of flips along `axes`.

    Side outputs are dropped. A network with an objects head is refused.

    Args:
        network: the network to wrap.
        axes: spatial axes, the first is 0; two axes make four passes, three make eight.
        swap: pairs of labels, as in [[left_kidney, right_kidney]], whose channels are exchanged in the passes that
            are flipped along `swap_axis`. Where the names of labels come in such pairs and this axis is flipped, it
            must be given; [] exchanges none.
        swap_axis: the axis that runs from left to right, as in the augmentation `flip`.
        labels: given by the program.
    """
    if len(set(axes)) < len(axes):
        raise ValueError(f"axes is {list(axes)}; expected each axis once.")
    if not swap:
        return partial(_over_flips, network, tuple(axes), (), swap_axis)
    if labels is None:
        raise ValueError("flips: to swap labels their set is needed.")
    try:
        partner = labels.partners(swap)
    except ValueError as error:
        raise ValueError(f"flips: {error}") from error
    order = tuple(labels.names.index(partner.get(name, name)) for name in labels.names)
    return partial(_over_flips, network, tuple(axes), order, swap_axis)


def _over_flips(
    network: Network,
    axes: tuple[int, ...],
    order: tuple[int, ...],
    swap_axis: int,
    pixels: np.ndarray,
) -> Output[np.ndarray]:
    """Mean logits.

    Args:
        network: the network to wrap.
        axes: the spatial axes to flip.
        order: for each label, the label whose channel it gets in a pass that is flipped along `swap_axis`.
        swap_axis: the left-right axis.
        pixels: (batch, channel, *spatial).

    Raises:
        ValueError: axes that the image does not have, or a network with an objects head.
    """
    ndim = pixels.ndim - 2
    if any(not 0 <= axis < ndim for axis in axes):
        raise ValueError(
            f"the axes of flips are {list(axes)}; the images have axes 0 to {ndim - 1}."
        )
    if order and not -ndim <= swap_axis < ndim:
        raise ValueError(f"flips: swap_axis is {swap_axis}; the images have {ndim} axes.")
    subsets = chain.from_iterable(combinations(axes, n) for n in range(len(axes) + 1))
    passes = (
        _flipped(network, pixels, subset, order if swap_axis % ndim in subset else ())
        for subset in subsets
    )
    return mean_output(passes, "flips")


def _flipped(
    network: Network, pixels: np.ndarray, axes: tuple[int, ...], order: tuple[int, ...]
) -> Output[np.ndarray]:
    """The network's output for a flipped image, flipped back, with its labels in another order."""
    turned = tuple(axis + 2 for axis in axes)
    output = network(np.ascontiguousarray(np.flip(pixels, turned)))
    dense = None if output.dense is None else np.flip(_ordered(output.dense, order), turned)
    image = None if output.image is None else _ordered(output.image, order)
    return Output(dense=dense, image=image, objects=output.objects)


def _ordered(logits: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The channels of labels in another order; a background channel stays the first."""
    if not order:
        return logits
    before = logits.shape[1] - len(order)
    if before not in (0, 1):
        raise ValueError(
            f"flips: swap is for {len(order)} labels, and the network gives {logits.shape[1]} channels."
        )
    return logits[:, [*range(before), *(before + label for label in order)]]
