"""Deep supervision: how a loss combines the side outputs of a network. One function per scheme.

Each function takes an output and returns the outputs that the loss is computed on, with their weights. The truth is
resized to each. The other heads do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from delineate.core.output import Output
from delineate.losses._terms import wide

__all__ = ["all_subsets", "equal", "halving", "none"]

Weighted = Sequence[tuple[float, Output[Tensor]]]


def halving(output: Output[Tensor]) -> Weighted:
    """Weights 1, 1/2, 1/4 ... for the logits and each side output, divided by their sum (nnU-Net).

    Isensee et al., Nature Methods 2021.
    """
    levels = _levels(output)
    weights = [0.5**level for level in range(len(levels))]
    return [(w / sum(weights), level) for w, level in zip(weights, levels, strict=True)]


def equal(output: Output[Tensor]) -> Weighted:
    """The sum over the logits and each side output, as in the training of PraNet.

    Fan et al., MICCAI 2020, section 2.4.
    """
    return [(1.0, level) for level in _levels(output)]


def all_subsets(output: Output[Tensor]) -> Weighted:
    """The sum over every subset of the logits and side outputs, each subset added at full size (EMCAD's MUTATION).

    Rahman et al., CVPR 2024; four maps make 15 losses. Maps of half precision are added as float32.
    """
    size = output.logits.shape[2:]
    mode = {2: "bilinear", 3: "trilinear"}[len(size)]
    maps = [wide(level) for level in (output.logits, *output.sides)]
    maps = [F.interpolate(m, size, mode=mode) if m.shape[2:] != size else m for m in maps]
    sums: list[Tensor] = []
    for level in maps:  # each subset is one without this map, plus this map
        sums += [level, *(subset + level for subset in sums)]
    return [(1.0, replace(output, dense=dense, sides=())) for dense in sums]


def none(output: Output[Tensor]) -> Weighted:
    """The loss gets the whole output and may use the side outputs itself."""
    return [(1.0, output)]


def _levels(output: Output[Tensor]) -> list[Output[Tensor]]:
    return [replace(output, dense=dense, sides=()) for dense in (output.logits, *output.sides)]
