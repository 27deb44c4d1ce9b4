"""The feature maps of an encoder of timm, one per stride, and the sizes of images that it takes."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from delineate.models._pretrained import fetching
from delineate.models._weights import ENDINGS

MULTIPLE = 32
"""The stride of the deepest map: images are of sizes that are multiples of it."""


class Pyramid(NamedTuple):
    """An encoder of timm and the place of each stride among its maps.

    network: pixels -> a list of maps (batch, channel, *spatial).
    levels: the index of the map of each stride that was asked for.
    widths: the channels of these maps.
    file: the file with the encoder's weights, which are still to be loaded; or None.
    """

    network: Any
    levels: tuple[int, ...]
    widths: tuple[int, ...]
    file: str | None


def pyramid(
    model: str,
    encoder: str,
    channels: int,
    pretrained: str | None,
    strides: Sequence[int],
    *,
    drop_path: float | None = None,
) -> Pyramid:
    """An encoder of timm that gives a map at each of the strides.

    Args:
        model: the model that asks, for messages.
        encoder: a timm name, with or without the tag of its weights.
        channels: channels of the images.
        pretrained: imagenet, or a file of weights, or None.
        strides: finest first.
        drop_path: probability with which a block is skipped during training; None for the encoder's own.

    Raises:
        ValueError: an unknown name, an encoder without these maps, or weights that are not available.
    """
    import timm

    if not timm.is_model(encoder):
        near = difflib.get_close_matches(encoder, timm.list_models(), n=3, cutoff=0.5)
        raise ValueError(
            f"timm has no encoder {encoder!r}{'; similar names: ' + ', '.join(near) if near else ''}."
        )
    file = pretrained if pretrained and pretrained.lower().endswith(ENDINGS) else None
    fetched = _is_fetched(encoder, pretrained, file)
    options: dict[str, Any] = {} if drop_path is None else {"drop_path_rate": drop_path}
    with (
        fetching(f"{pretrained} weights of {encoder}") if fetched else nullcontext(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            network: Any = timm.create_model(
                encoder, pretrained=fetched, features_only=True, in_chans=channels, **options
            )
        except OSError:  # `fetching` handles it
            raise
        except Exception as error:  # timm raises many types
            raise ValueError(
                f"{model} cannot be built on {encoder}: {error or type(error).__name__}"
            ) from error
    found = network.feature_info.reduction()
    if not set(strides) <= set(found):
        raise ValueError(
            f"{model} needs an encoder with maps at the strides {', '.join(map(str, strides))}; those of {encoder} "
            f"are at {', '.join(map(str, found))}. resnet18 and convnext_atto fit."
        )
    levels = tuple(len(found) - 1 - found[::-1].index(stride) for stride in strides)
    widths = network.feature_info.channels()
    return Pyramid(network, levels, tuple(widths[level] for level in levels), file)


def _is_fetched(encoder: str, pretrained: str | None, file: str | None) -> bool:
    """Whether the weights of an encoder come from timm."""
    import timm

    if pretrained is None or file is not None:
        return False
    if pretrained != "imagenet":
        raise ValueError(
            f"pretrained is {pretrained!r}; expected imagenet (another set is named with the encoder, "
            f"{encoder.partition('.')[0]}.tag) or a file that ends in {', '.join(ENDINGS)}."
        )
    if not timm.models.is_model_pretrained(encoder):
        raise ValueError(f"timm has no pretrained weights for {encoder}; write pretrained: null.")
    return True


def maps_of(network: Any, levels: Sequence[int], pixels: Tensor, title: str) -> list[Tensor]:
    """The maps of an encoder at its levels.

    Args:
        network: the encoder.
        levels: the indices of the maps.
        pixels: (batch, channel, *spatial).
        title: the model and its encoder, for messages.

    Raises:
        ValueError: a size that is no multiple of 32, or that the encoder does not take.
    """
    size = tuple(pixels.shape[2:])
    if not torch.compiler.is_compiling() and any(n % MULTIPLE for n in size):
        raise ValueError(
            f"{title} takes sizes that are multiples of {MULTIPLE}, not {size}. "
            f"Add the step {{pad: {{multiple: {MULTIPLE}}}}} to prepare."
        )
    try:
        maps = network(pixels)
    except (
        AssertionError,
        RuntimeError,
    ) as error:  # timm raises either for an encoder of fixed size
        if isinstance(error, RuntimeError) and not _is_fixed_to_another(network, size):
            raise
        raise ValueError(
            f"{title} does not take images of {size}: {error} Use an encoder without a fixed size."
        ) from error
    if getattr(network, "output_fmt", "NCHW") == "NHWC":
        maps = [one.permute(0, 3, 1, 2) for one in maps]
    return [maps[level] for level in levels]


def _is_fixed_to_another(network: Any, size: tuple[int, ...]) -> bool:
    """Whether timm knows an encoder to take one size, and that is another one."""
    known = getattr(network, "default_cfg", None) or {}
    return bool(known.get("fixed_input_size")) and tuple(known["input_size"][1:]) != size


def refuse_volumes(model: str, ndim: int) -> None:
    """Refuse data with other than two axes.

    Raises:
        ValueError: `ndim` is not 2.
    """
    if ndim != 2:
        raise ValueError(
            f"{model} supports 2 spatial axes; the data have {ndim}. Use unet for 3, or the section slices."
        )


def refuse_both(pretrained: str | None, weights: str | None) -> None:
    """Refuse weights of the encoder beside those of the whole model.

    Raises:
        ValueError: both are given.
    """
    if pretrained and weights:
        raise ValueError(
            f"weights: {weights} holds the whole model, so pretrained: {pretrained} would be lost. Leave out one of "
            "the two."
        )
