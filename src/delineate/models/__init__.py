"""Pixels -> Output: one architecture per file.

A model is a `torch.nn.Module` that takes pixels (batch, channel, *spatial) and returns an `Output`: the logits of its
heads, before any activation. The program gives `channels` (of the image), `ndim`, and for each head how many channels
it has, under a name that says which heads a model has: `classes` for dense logits, `image_classes` for image-level
logits, `object_classes` for objects. Everything else is the recipe's.

A model that must see the truth while it learns, as detectors do, has a `forward(pixels, target=None)`: it gets the
target while it is trained, and none while it predicts. Losses that it computes itself go into `Output.losses`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from delineate.core.output import Output
from delineate.models._speed import fast_memory_format, fast_on_cpu
from delineate.models._weights import load_weights
from delineate.resolve import Call, build, check, names, resolve

torch.export.register_dataclass(Output)  # so that tracing looks inside what a model returns


HEADS = {"dense": "classes", "image": "image_classes", "objects": "object_classes"}
"""The argument by which a model is told the channels of each head, and shows that it has one."""


class Model(Protocol):
    """What every model can be called as."""

    def __call__(self, pixels: Tensor) -> Output[Tensor]:
        """(batch, channel, *spatial) standardized -> logits; dense ones are (batch, class, *spatial)."""


def load_model(
    call: Call, channels: int, heads: Mapping[str, int], ndim: int, *, pretrained: bool = True
) -> nn.Module:
    """The model a recipe names, for images of `channels` and `ndim` axes.

    Args:
        call: what the recipe says.
        channels: channels of the images.
        heads: the heads that the task needs, by their names in `Output`, with the channels of each.
        ndim: spatial axes.
        pretrained: false leaves the recipe's `pretrained` out, for a model whose weights are to be loaded.

    Raises:
        RecipeError: an unknown model or argument, heads that the model has not or the task does not use, or
            weights that cannot be had; before anything is trained.
    """
    check_heads(call, heads)
    if not pretrained:
        call = call.without("pretrained")
    counts = {HEADS[head]: count for head, count in heads.items()}
    model = build("models", call, channels=channels, ndim=ndim, **counts)
    if not isinstance(model, nn.Module):
        raise call.fail(
            f"{call.name} returned a {type(model).__name__}; expected a torch.nn.Module."
        )
    try:
        sees_target(model)
    except ValueError as error:
        raise call.fail(f"{call.name}: {error}") from error
    return model


def sees_target(model: nn.Module) -> bool:
    """Whether a model must see the truth while it learns: its `forward` has an argument `target`.

    Raises:
        ValueError: the argument has no default, though nothing is given while the model predicts.
    """
    argument = inspect.signature(model.forward).parameters.get("target")
    if argument is not None and argument.default is inspect.Parameter.empty:
        raise ValueError(
            "its forward cannot be called without a target, which is given only while the model is trained; "
            "expected forward(pixels, target=None)."
        )
    return argument is not None


def check_heads(call: Call, heads: Mapping[str, int]) -> None:
    """Refuse a model that lacks a head the task needs, or cannot do without one that the task does not use.

    Raises:
        RecipeError: also where the model or an argument of it is unknown.
    """
    check("models", call)
    parameters = _parameters(call)
    for head in heads:
        if HEADS[head] not in parameters:
            able = [name for name in names("models") if HEADS[head] in _parameters(name)]
            raise call.fail(
                f"{call.name} has no {head} head, which the task needs. Models that have one: "
                f"{', '.join(able) or 'none'}."
            )
    for head, argument in HEADS.items():
        needed = argument in parameters and parameters[argument].default is inspect.Parameter.empty
        if needed and head not in heads:
            raise call.fail(
                f"{call.name} has a {head} head, which the task does not use; it uses {', '.join(heads)}."
            )


def _parameters(name: str | Call) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(resolve("models", name)).parameters


__all__ = [
    "HEADS",
    "Model",
    "check_heads",
    "fast_memory_format",
    "fast_on_cpu",
    "load_model",
    "load_weights",
    "sees_target",
]
