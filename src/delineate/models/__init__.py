"""Pixels -> Output: one architecture per file.

A model is a `torch.nn.Module` that takes pixels (batch, channel, *spatial) and returns logits of the same
spatial size, before any activation. The program gives `channels` (of the image), `classes` (channels of the
logits) and `ndim`; everything else is the recipe's.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from delineate.core.output import Output
from delineate.models._speed import fast_memory_format, fast_on_cpu
from delineate.models._weights import load_weights
from delineate.resolve import Call, build

torch.export.register_dataclass(Output)  # so that tracing looks inside what a model returns


class Model(Protocol):
    """What every model can be called as."""

    def __call__(self, pixels: Tensor) -> Output[Tensor]:
        """(batch, channel, *spatial) standardized -> logits (batch, class, *spatial)."""


def load_model(
    call: Call, channels: int, classes: int, ndim: int, *, pretrained: bool = True
) -> nn.Module:
    """The model a recipe names, for images of `channels`, logits of `classes` channels and `ndim` axes.

    Args:
        call: what the recipe says.
        channels: channels of the images.
        classes: channels of the logits.
        ndim: spatial axes.
        pretrained: false leaves the recipe's `pretrained` out, for a model whose weights are to be loaded.

    Raises:
        RecipeError: an unknown model or argument, or weights that cannot be had; before anything is trained.
    """
    if not pretrained:
        call = call.without("pretrained")
    model = build("models", call, channels=channels, classes=classes, ndim=ndim)
    if not isinstance(model, nn.Module):
        raise call.fail(
            f"{call.name} returned a {type(model).__name__}; expected a torch.nn.Module."
        )
    return model


__all__ = ["Model", "fast_memory_format", "fast_on_cpu", "load_model", "load_weights"]
