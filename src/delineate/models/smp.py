"""Every architecture of segmentation-models-pytorch, on every encoder of smp and timm."""

from __future__ import annotations

import difflib
import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from delineate.arguments import Text
from delineate.core.output import Output
from delineate.models._pretrained import fetching
from delineate.models._weights import ENDINGS, load_encoder
from delineate.resolve import Call, RecipeError, bind, nearest, shown

MOST_FEATURES = 8192
"""The largest number allowed in the arguments of smp and timm; the limit of unet's `features`."""

# Arguments that Delineate sets, and those that would make a model return more than logits.
_OURS = {"encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params"}


def smp(
    *,
    channels: int,
    classes: int,
    ndim: int,
    arch: Text,
    encoder: Text = "resnet34",
    pretrained: Text | None = None,
    encoder_options: dict[str, Any] | None = None,
    **options: Any,
) -> nn.Module:
    """An smp architecture (unet, unetplusplus, deeplabv3plus, fpn, segformer, dpt ...) on any smp or timm encoder; 2D.

    Args:
        channels: channels of the images.
        classes: channels of the logits.
        ndim: spatial axes; 2.
        arch: an smp name; case and punctuation do not matter.
        encoder: an smp name (resnet34, efficientnet-b2, mit_b2) or a timm name (convnext_tiny,
            tu-efficientnet_b2), the latter with or without the tag of its weights (convnext_tiny.in12k_ft_in1k).
            Do not confuse mobilenetv3_large_100 with tf_mobilenetv3_large_100: they share all keys and shapes but
            differ in padding and in the epsilon of the batch norm, so weights of one load into the other and give
            wrong results. smp's timm-mobilenetv3_* is the tf_ variant.
        pretrained: imagenet, or another set that smp names for the encoder, downloaded once into the cache of timm
            and smp; or a file of weights; or null for random weights.
        encoder_options: further arguments of a timm encoder, such as drop_path_rate, or img_size for fixed sizes.
        options: further arguments of the architecture, such as encoder_depth or decoder_channels.

    Raises:
        ValueError: an unknown name, an encoder that the architecture does not support, or weights that are not
            available or do not fit.
    """
    if ndim != 2:
        raise ValueError(f"smp supports 2 spatial axes; the data have {ndim}. Use unet for 3.")
    build = _architecture(arch)
    _refuse_large({**options, **(encoder_options or {})})
    arguments = _arguments(build, options)
    name = _encoder(encoder)
    extra = dict(encoder_options or {})
    if extra and not name.startswith("tu-"):
        raise ValueError(f"encoder_options are for encoders of timm; {name} is one of smp.")
    _refuse_sources(extra)
    if build.__name__ == "DPT":
        extra.setdefault("dynamic_img_size", True)  # otherwise it accepts 224 x 224 only
    file = pretrained if pretrained and pretrained.lower().endswith(ENDINGS) else None
    weights = None if file or pretrained is None else _weights(name, pretrained)

    with fetching(f"{pretrained} weights of {encoder}") if weights else nullcontext():
        try:
            network = _quietly(
                build,
                encoder_name=name,
                encoder_weights=weights,
                in_channels=channels,
                classes=classes,
                **arguments,
                **extra,
            )
        except OSError:  # `fetching` handles it
            raise
        except Exception as error:  # unsupported pairs raise many types
            raise ValueError(
                f"smp cannot build {build.__name__} on {encoder}: {error or type(error).__name__}"
            ) from error
    if file:
        load_encoder(network.encoder, file, channels, whole=arguments["encoder_depth"] == 5)
    multiple = network.encoder.output_stride if network.requires_divisible_input_shape else 1
    return _Smp(network, f"{build.__name__} on {encoder}", multiple)


class _Smp(nn.Module):
    """An smp model that returns an Output and refuses image sizes that it does not support."""

    def __init__(self, network: nn.Module, title: str, multiple: int) -> None:
        super().__init__()
        self.network = network
        self._title = title
        self._multiple = multiple

    def forward(self, pixels: Tensor) -> Output[Tensor]:
        size = tuple(pixels.shape[2:])
        if not torch.compiler.is_compiling() and any(n % self._multiple for n in size):
            raise ValueError(
                f"{self._title} takes sizes that are multiples of {self._multiple}, not {size}. "
                f"Add the step {{pad: {{multiple: {self._multiple}}}}} to prepare."
            )
        try:
            return Output(self.network(pixels))
        except AssertionError as error:  # timm raises it for an encoder of fixed size
            raise ValueError(
                f"{self._title} does not take images of {size}: {error} If the encoder has a fixed "
                f"size, set it: encoder_options: {{img_size: {list(size)}}}."
            ) from error


def _architecture(arch: str) -> Callable[..., Any]:
    import segmentation_models_pytorch as library

    known = library.MODEL_ARCHITECTURES_MAPPING
    plain = re.sub(r"[^a-z0-9]", "", arch.lower().replace("+", "plus"))
    if plain not in known:
        raise ValueError(
            f"smp has no arch {arch!r}{nearest(plain, known)} There are: {', '.join(known)}."
        )
    build: Callable[..., Any] = known[plain]
    return build


def _arguments(build: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The checked arguments of an architecture: those of the recipe, and defaults for the others."""
    signature = inspect.signature(build.__init__)
    ours = {"self", *_OURS}
    known = {
        p.name: p.default
        for p in signature.parameters.values()
        if p.name not in ours and p.kind is not p.VAR_KEYWORD
    }
    for option in options:
        if option not in known:
            raise ValueError(
                f"smp's {build.__name__} takes no argument {option!r}{nearest(option, known)} "
                f"It takes: {', '.join(known)}."
            )
    try:
        checked = bind(build.__init__, Call(build.__name__, options), ours)
    except (
        RecipeError
    ) as error:  # it has no line of the recipe yet; the caller adds one to a ValueError
        raise ValueError(str(error)) from error
    return {**known, **checked}


def _refuse_large(written: Mapping[str, Any]) -> None:
    """Refuse numbers that would exhaust the memory: the argument types of smp and timm have no limits."""
    for name, value in written.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(n, int | float) and abs(n) > MOST_FEATURES for n in numbers):
            raise ValueError(f"{name} is {shown(value)}; expected numbers up to {MOST_FEATURES}.")


def _encoder(name: str) -> str:
    """The name of an encoder in smp: its own, or "tu-" followed by timm's."""
    import timm
    from segmentation_models_pytorch.encoders import encoders as native

    if name in native:
        return name
    of_timm = name.removeprefix("tu-")
    if name.startswith("timm-"):  # smp's deprecated names
        of_timm = name.removeprefix("timm-").replace("mobilenetv3", "tf_mobilenetv3")
    if not timm.is_model(of_timm):
        known = [*native, *timm.list_models()]
        near = difflib.get_close_matches(of_timm, known, n=3, cutoff=0.5)
        raise ValueError(
            f"neither smp nor timm has an encoder {name!r}"
            f"{'; similar names: ' + ', '.join(near) if near else ''}."
        )
    base, _, tag = of_timm.partition(".")
    if tag and not timm.models.is_model_pretrained(of_timm):
        known = timm.list_pretrained(f"{base}.*")
        raise ValueError(
            f"timm has no weights {tag!r} for {base}{nearest(of_timm, known)} "
            f"There are: {', '.join(known) or 'none'}."
        )
    return f"tu-{of_timm}"


def _refuse_sources(options: Mapping[str, Any]) -> None:
    """Refuse options that load weights: timm would download them from any address and unpickle any file."""
    import timm

    ours = inspect.signature(timm.create_model).parameters
    for option in options:
        if option in ours or option.startswith(("pretrained", "checkpoint")):
            raise ValueError(
                f"encoder_options: {option!r} is not an option of an encoder; set weights with pretrained."
            )


def _weights(name: str, pretrained: str) -> str | bool:
    """The value of smp's `encoder_weights`: the name of a set, or True for timm's weights."""
    import timm
    from segmentation_models_pytorch.encoders import encoders as native

    if name in native:
        known = list(native[name]["pretrained_settings"])
        if pretrained not in known:
            raise ValueError(
                f"smp has no weights {pretrained!r} for {name}{nearest(pretrained, known)} "
                f"There are: {', '.join(known)}; or give a file that ends in {', '.join(ENDINGS)}."
            )
        return pretrained
    of_timm = name.removeprefix("tu-")
    if pretrained != "imagenet":
        raise ValueError(
            f"pretrained is {pretrained!r}; for an encoder of timm expected imagenet (another set is "
            f"named with the encoder, {of_timm.partition('.')[0]}.tag) or a file that ends in "
            f"{', '.join(ENDINGS)}."
        )
    if not timm.models.is_model_pretrained(of_timm):
        raise ValueError(f"timm has no pretrained weights for {of_timm}; write pretrained: null.")
    return True


def _quietly(build: Callable[..., Any], **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`timm-` encoders are deprecated")
        return build(**arguments)
