"""Pixels -> Output: one architecture per file.

A model is a `torch.nn.Module` that takes pixels (batch, channel, *spatial) and returns an `Output`: the logits of its
heads, before any activation. Delineate passes `channels` (of the image), `ndim` and the number of channels of each
head. The argument names say which heads a model has: `classes` for dense logits, `image_classes` for image-level
logits, `object_classes` for objects. All other arguments come from the recipe. `pretrained` and `weights` name the
weights that a model starts from; a bundle, which has its own, is opened without them.

A model that needs the truth during training, such as a detector, has `forward(pixels, target=None)`: it gets the
target during training and none during prediction. Losses that it computes itself go into `Output.losses`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from delineate.core.output import Output
from delineate.models._init_from import Copied, OtherArchitectureError, copy_weights
from delineate.models._speed import fast_memory_format, fast_on_cpu
from delineate.models._weights import load_weights, weights_of
from delineate.resolve import STARTS, Call, build, check, names, resolve

torch.export.register_dataclass(Output)  # so that torch.export can trace a model's output


HEADS = {"dense": "classes", "image": "image_classes", "objects": "object_classes"}
"""The argument of a model that takes the number of channels of each head. A model without it lacks the head."""


Maker = TypeVar("Maker", bound=Callable[..., nn.Module])


class Model(Protocol):
    """The signature of every model."""

    def __call__(self, pixels: Tensor) -> Output[Tensor]:
        """(batch, channel, *spatial) standardized -> logits; dense ones are (batch, class, *spatial)."""


def load_model(
    call: Call, channels: int, heads: Mapping[str, int], ndim: int, *, pretrained: bool = True
) -> nn.Module:
    """Build the model that a recipe names, for images with `channels` channels and `ndim` axes.

    Args:
        call: the model and its arguments in the recipe.
        channels: channels of the images.
        heads: the heads that the task needs, by their names in `Output`, with the channels of each.
        ndim: spatial axes.
        pretrained: False ignores the recipe's `pretrained` and `weights`, for a model whose weights are loaded later.

    Raises:
        RecipeError: an unknown model or argument, a head that the model lacks or the task does not use, or
            pretrained weights that are not available.
    """
    check_heads(call, heads)
    if not pretrained:
        call = call.without(*STARTS)
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


def background_first(maker: Maker) -> Maker:
    """Mark a model that takes channel 0 of several dense channels for the background.

    A recipe whose task has several labels and no channel of the background is refused before training.
    """
    maker.background_first = True  # type: ignore[attr-defined]
    return maker


def needs_background(call: Call) -> bool:
    """Whether a model is marked by `background_first`."""
    maker: Any = resolve("models", call)
    return bool(getattr(maker, "background_first", False))


def sees_target(model: nn.Module) -> bool:
    """Whether a model needs the truth during training: its `forward` has an argument `target`.

    Raises:
        ValueError: the argument has no default, but prediction passes no target.
    """
    argument = inspect.signature(model.forward).parameters.get("target")
    if argument is not None and argument.default is inspect.Parameter.empty:
        raise ValueError(
            "its forward cannot be called without a target, which is given only while the model is trained; "
            "expected forward(pixels, target=None)."
        )
    return argument is not None


def check_heads(call: Call, heads: Mapping[str, int]) -> None:
    """Refuse a model that lacks a head the task needs, or that requires a head the task does not use.

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
    "Copied",
    "Model",
    "OtherArchitectureError",
    "background_first",
    "check_heads",
    "copy_weights",
    "fast_memory_format",
    "fast_on_cpu",
    "load_model",
    "load_weights",
    "needs_background",
    "sees_target",
    "weights_of",
]
