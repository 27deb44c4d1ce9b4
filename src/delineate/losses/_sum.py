"""The loss of a recipe: a weighted sum of losses, over the logits and the side outputs of a network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import Positive
from delineate.core.output import Output, Target
from delineate.losses._deep_supervision import Weighted
from delineate.losses._terms import wide
from delineate.resolve import Call, bind, check, resolve

Loss = Callable[[Output[Tensor], Target[Tensor]], Tensor]


def load_loss(calls: Sequence[Call], deep_supervision: Call = Call("halving")) -> Loss:  # noqa: B008 (frozen)
    """The weighted sum of the losses that a recipe names.

    Each call may have an argument `weight` (default 1). If an output has side outputs, `deep_supervision` names the
    scheme that combines them; the truth is resized to each by nearest neighbour. A loss that does not read the dense
    logits, for instance one of image-level labels, counts once. Losses get logits in float32 and run without autocast,
    under mixed precision too; logits in float64 stay so.

    Raises:
        RecipeError: no call, an unknown loss or argument, or a weight that is not above zero.
    """
    if not calls:
        raise ValueError("the list of losses is empty; expected at least one, for instance dice.")
    terms = [_term(call) for call in calls]
    parts: Callable[[Output[Tensor]], Weighted] = functools.partial(
        resolve("deep_supervision", deep_supervision),
        **check("deep_supervision", deep_supervision),
    )

    def loss(output: Output[Tensor], target: Target[Tensor]) -> Tensor:
        with torch.autocast(
            _device(output), enabled=False
        ):  # losses of the user too compute in float32
            return total(output.map(wide), target)

    def total(output: Output[Tensor], target: Target[Tensor]) -> Tensor:
        if not output.sides:
            values = [weight * term(output, target) for weight, term in terms]
            return sum(values[1:], values[0])
        levels = [
            (share, part, _resized(target, part.logits.shape[2:])) for share, part in parts(output)
        ]
        values = []
        for weight, term in terms:
            for share, part, there in levels:
                tracked = _TrackedOutput(**{f.name: getattr(part, f.name) for f in fields(part)})
                value = weight * term(tracked, there)
                if not tracked.dense_was_read:
                    values.append(value)
                    break
                values.append(share * value)
        return sum(values[1:], values[0])

    return loss


def _device(output: Output[Tensor]) -> str:
    arrays = (output.dense, output.image, *output.losses.values())
    return next((array.device.type for array in arrays if array is not None), "cpu")


class _TrackedOutput(Output[Tensor]):
    """An output that records whether a loss has read its dense logits."""

    dense_was_read = False

    def __getattribute__(self, name: str) -> Any:
        if name in ("dense", "logits", "sides"):
            object.__setattr__(self, "dense_was_read", True)
        return super().__getattribute__(name)


def _term(call: Call) -> tuple[float, Loss]:
    weight = {name: value for name, value in call.args.items() if name == "weight"}
    number = _weight(**bind(_weight, replace(call, args=weight)))
    bound = check("losses", call.without("weight"))
    return number, functools.partial(resolve("losses", call), **bound)


def _weight(weight: Positive = 1.0) -> float:
    return weight


def _resized(target: Target[Tensor], shape: Sequence[int]) -> Target[Tensor]:
    """The dense truth resized to a side output."""
    known = target.classes if target.regions is None else target.regions[:, 0]
    if known is None or known.shape[1:] == tuple(shape):
        return target

    def nearest(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        maps = values if values.ndim == len(shape) + 2 else values[:, None]
        # float32 represents every class index exactly
        resized = F.interpolate(maps.float(), tuple(shape), mode="nearest-exact")
        return resized.reshape(*values.shape[: -len(shape)], *shape).to(values.dtype)

    return replace(
        target,
        classes=nearest(target.classes),
        regions=nearest(target.regions),
        valid=nearest(target.valid),
    )
