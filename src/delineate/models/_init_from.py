"""Copy trained weights into a model of another recipe, and say what was copied and what was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from delineate.models._weights import State, _adapted, _renamed, finite, read_weights

LEAST = 0.5
"""Least share of the encoder's values that must be copied; below it the weights are of another architecture."""

Channels = Mapping[str, Sequence[str]]
"""What each channel of a head stands for, by the name of the head: "background" and the names of the labels."""

Shape = tuple[int, ...]
"""Sizes of the axes of a tensor."""


class OtherArchitectureError(ValueError):
    """Less than LEAST of the encoder's values fit. share: how much does."""

    def __init__(self, share: float) -> None:
        super().__init__(f"{share:.0%} of the encoder's weights fit.")
        self.share = share


@dataclass
class Copied:
    """What was copied.

    tensors, of: how many of the model's tensors were copied, wholly or in part, and how many it has.
    lines: a sentence for each layer that differs.
    """

    tensors: int = 0
    of: int = 0
    lines: list[str] = field(default_factory=list)


def copy_weights(
    model: nn.Module,
    path: Path,
    make: Callable[[int, int], nn.Module],
    channels: int,
    ours: Channels,
    theirs: Channels | None,
) -> Copied:
    """Copy the weights in a file into a model, where names and shapes agree.

    The rows of a head are copied by what they stand for. A first convolution for colour images is adapted to another
    number of channels as timm does: summed for one channel, else repeated. All else that differs keeps its values.

    Args:
        model: changed in place.
        path: .safetensors, or a PyTorch file; a file that contains code is refused.
        make: (more channels, more classes) -> a model like this with so many more. Comparing shapes with it shows
            which layers depend on images and labels, in any architecture.
        channels: channels of the images.
        ours: what the channels of each head of this model stand for.
        theirs: the same for the model of the file; None if it is not known.

    Raises:
        OtherArchitectureError: the file is of another architecture.
        ValueError: no such file, values that are NaN or infinite, or another number of input channels.
    """
    wanted = model.state_dict()
    state, _ = _renamed(read_weights(path), wanted)
    with torch.random.fork_rng(devices=()):  # the models to compare with draw random weights
        heads = _differing(wanted, make(0, 1).state_dict())
        inputs = _differing(wanted, make(1, 0).state_dict())
    new: dict[str, Tensor] = {}
    told = Copied(of=len(wanted))
    differing: dict[str, list[str]] = {}
    for key, here in wanted.items():
        there = state.get(key)
        if there is None:
            differing.setdefault(_part(key), []).append("is not in the file")
            continue
        if key in heads:
            rows, line = _rows(key, here, there, heads[key], ours, theirs)
            new |= {} if rows is None else {key: rows}
            if line and line not in told.lines:
                told.lines.append(line)
            continue
        if key in inputs:
            there = _adapted(there, here, channels)
            if there.shape[1:2] != here.shape[1:2] and _without(there, 1) == _without(here, 1):
                raise ValueError(
                    f"the weights are for images of {there.shape[1]} channels; the images of this recipe have "
                    f"{channels}. Only weights for 3 channels are adapted to another number."
                )
            if state[key].shape != here.shape and there.shape == here.shape:
                told.lines.append(f"{_layer(key)}: adapted from 3 input channels to {channels}")
        if there.shape == here.shape:
            new[key] = there
        else:
            differing.setdefault(_part(key), []).append(
                f"has the shape {tuple(there.shape)} there, {tuple(here.shape)} here"
            )
    share = _share_of_encoder(wanted, new, heads)
    if share < LEAST:
        raise OtherArchitectureError(share)
    model.load_state_dict({**wanted, **finite(new, path)})
    told.tensors = len(new)
    counts = _counts(wanted)
    for part, reasons in differing.items():
        told.lines.append(
            f"{part}: {len(reasons)} of {counts[part]} tensors start from random weights; the first {reasons[0]}"
        )
    unused = _counts(key for key in state if key not in wanted)
    told.lines += [f"{part}: {n} tensors of the file are not used" for part, n in unused.items()]
    return told


def _rows(
    key: str,
    here: Tensor,
    there: Tensor,
    axis: int,
    ours: Channels,
    theirs: Channels | None,
) -> tuple[Tensor | None, str]:
    """A weight of a head with the rows of the labels that both have, and a sentence if it differs; or None."""
    layer = _layer(key)
    a, b = (t.shape[axis] if t.ndim > axis else 0 for t in (there, here))
    counts = f"{layer}: {a} outputs there, {b} here"
    if there.ndim != here.ndim or _without(there, axis) != _without(here, axis):
        return None, f"{counts}, of other sizes: starts from random weights"
    if theirs is None:
        if a != b:
            return None, f"{counts}: starts from random weights"
        return (
            there,
            f"{layer}: {a} outputs copied in their order; the file does not name its labels",
        )
    pair = next(
        (
            (mine, theirs[head])
            for head, mine in ours.items()
            if head in theirs and (len(mine), len(theirs[head])) == (b, a)
        ),
        None,
    )
    if pair is None:
        return None, f"{counts}, of another kind: starts from random weights"
    mine, known = pair
    if tuple(mine) == tuple(known):
        return there, ""
    if ("background" in mine) != ("background" in known):
        return None, f"{counts}, one of them with a background: starts from random weights"
    both = [name for name in mine if name in known]
    if not set(both) - {"background"}:
        return None, f"{counts}: starts from random weights"
    rows = here.clone()
    for name in both:
        source = there.select(axis, list(known).index(name))
        rows.select(axis, list(mine).index(name)).copy_(source)
    line = f"{counts}: copied by label for {', '.join(both)}"
    if new := [name for name in mine if name not in known]:
        line += f"; {', '.join(new)} start{'s' * (len(new) == 1)} from random weights"
    if gone := [name for name in known if name not in mine]:
        line += f"; {', '.join(gone)} left out"
    return rows, line


def _differing(state: State, other: State) -> dict[str, int]:
    """The weights whose shapes differ between two models, and the axis along which they do."""
    axes = {}
    for key, value in state.items():
        if key in other and value.ndim == other[key].ndim and value.shape != other[key].shape:
            shapes = zip(value.shape, other[key].shape, strict=True)
            axes[key] = next(i for i, (a, b) in enumerate(shapes) if a != b)
    return axes


def _without(tensor: Tensor, axis: int) -> Shape:
    """The shape without one axis."""
    return (*tensor.shape[:axis], *tensor.shape[axis + 1 :])


def _share_of_encoder(wanted: State, new: State, heads: Mapping[str, int]) -> float:
    """The share of the encoder's values that are copied; of all but the heads, where no layer is called encoder."""
    body = [key for key in wanted if key not in heads]
    encoder = [key for key in body if "encoder" in key.split(".")] or body
    total = sum(wanted[key].numel() for key in encoder)
    return sum(wanted[key].numel() for key in encoder if key in new) / max(1, total)


def _layer(key: str) -> str:
    """network.segmentation_head.0.weight -> segmentation_head.0."""
    return key.removeprefix("network.").rpartition(".")[0]


def _part(key: str) -> str:
    """The outermost part of a model that a weight belongs to: network.decoder.blocks.0.weight -> decoder."""
    return key.removeprefix("network.").partition(".")[0]


def _counts(keys: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key in keys:
        counts[_part(key)] = counts.get(_part(key), 0) + 1
    return counts
