"""The loss of a recipe: a weighted sum, at every level a network answers on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import Positive
from delineate.core.output import Output, Target
from delineate.resolve import Call, bind, check, resolve

Loss = Callable[[Output[Tensor], Target[Tensor]], Tensor]


def load_loss(calls: Sequence[Call]) -> Loss:
    """The weighted sum of the losses a recipe names.

    Each call may carry an argument `weight` (default 1). Where an output has maps from deeper levels, the
    loss is the mean over the levels with weights 1, 1/2, 1/4 ... for the logits and each deeper map (deep
    supervision as in nnU-Net, Isensee et al., Nature Methods 2021); the truth is brought to each level's
    size by nearest neighbour. Losses get their logits in float32, under mixed precision too.

    Raises:
        RecipeError: no call, an unknown loss or argument, or a weight that is no number above zero.
    """
    if not calls:
        raise ValueError("the list of losses is empty; expected at least one, for instance dice.")
    terms = [_term(call) for call in calls]

    def loss(output: Output[Tensor], target: Target[Tensor]) -> Tensor:
        output = output.map(Tensor.float)
        levels = [(output, target)]
        for side in output.sides:
            levels.append((Output(side), _resized(target, side.shape[2:])))
        shares = [0.5**level for level in range(len(levels))]
        parts = [
            share / sum(shares) * weight * term(*level)
            for share, level in zip(shares, levels, strict=True)
            for weight, term in terms
        ]
        return torch.stack(parts).sum()

    return loss


def _term(call: Call) -> tuple[float, Loss]:
    weight = {name: value for name, value in call.args.items() if name == "weight"}
    number = _weight(**bind(_weight, replace(call, args=weight)))
    bound = check("losses", call.without("weight"))
    return number, functools.partial(resolve("losses", call), **bound)


def _weight(weight: Positive = 1.0) -> float:
    return weight


def _resized(target: Target[Tensor], shape: Sequence[int]) -> Target[Tensor]:
    """The dense truth at the size of a map from a deeper level."""
    known = target.classes if target.regions is None else target.regions[:, 0]
    if known is None or known.shape[1:] == tuple(shape):
        return target

    def nearest(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        maps = values if values.ndim == len(shape) + 2 else values[:, None]
        # float32 is exact for every class index there is
        resized = F.interpolate(maps.float(), tuple(shape), mode="nearest-exact")
        return resized.reshape(*values.shape[: -len(shape)], *shape).to(values.dtype)

    return replace(
        target,
        classes=nearest(target.classes),
        regions=nearest(target.regions),
        valid=nearest(target.valid),
    )
