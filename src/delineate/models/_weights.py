"""Load weights from a file into a model or its encoder, and save them; what does not fit is refused by name."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from delineate.resolve import shown

State = Mapping[str, Tensor]
Notes = Mapping[str, str]
"""What a model keeps beside its weights that their shapes do not show, such as its activation."""

ENDINGS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
_WRAPPERS = ("model.", "module.", "network.", "encoder.")  # Lightning, DDP, ours, smp
_DEPTH = 5
"""Most wrappers around each other."""


def load_weights(model: nn.Module, path: str | Path, *, without: tuple[str, ...] = ()) -> None:
    """Load all weights of a model from a file that holds exactly these.

    Args:
        model: changed in place. Keys in the file may have the prefix of a wrapper (Lightning, DDP, smp).
        path: .safetensors, or a PyTorch file; a file that contains code is refused.
        without: layers of the file to ignore, by their names in the network.

    Raises:
        ValueError: no such file, weights of another model or of another number of classes, values that are NaN or
            infinite, or notes beside the weights that differ from those of the model (see `weights_of`).
    """
    wanted = model.state_dict()
    read, theirs = _opened(Path(path))
    state, added = _renamed(read, wanted)
    state = _without(state, added, without)
    sizes = _sizes(state, wanted)
    if sizes and state.keys() == wanted.keys():
        _refuse_channels(Path(path), sizes)
    _refuse(Path(path), wanted.keys() - state.keys(), state.keys() - wanted.keys(), sizes)
    _refuse_notes(Path(path), theirs, _notes(wanted))
    model.load_state_dict(dict(finite(state, path)))


def load_encoder(
    encoder: nn.Module,
    path: str | Path,
    channels: int,
    *,
    whole: bool,
    without: tuple[str, ...] = (),
) -> None:
    """Load an encoder from a file of its weights, or of a network that contains it.

    Layers after the encoder, such as a classifier, are ignored. If the file is for colour images and `channels`
    is not 3, the first convolution is adapted as timm does: summed for one channel, else repeated.

    Args:
        encoder: changed in place.
        path: as for `load_weights`.
        channels: channels of the images.
        whole: the encoder has all its stages; if False, deeper stages in the file are ignored too.
        without: layers of the file to ignore, by their names in the network.
    """
    wanted = encoder.state_dict()
    state, added = _renamed(read_weights(Path(path)), wanted)
    state = _without(state, added, without)
    known = {_layer(key, added) for key in wanted}
    unexpected = {key for key in state.keys() - wanted.keys() if _layer(key, added) in known}
    fitted = {key: _adapted(state[key], wanted[key], channels) for key in wanted if key in state}
    missing, sizes = wanted.keys() - fitted.keys(), _sizes(fitted, wanted)
    _refuse(Path(path), missing, unexpected if whole else (), sizes)
    encoder.load_state_dict(dict(finite(fitted, path)))


def weights_of(model: nn.Module) -> bytes:
    """A model's weights as safetensors.

    Texts that its modules keep in the metadata of their `state_dict` are written beside the weights. `load_weights`
    refuses the file for a model that keeps others.
    """
    state = model.state_dict()
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    return save(tensors, dict(_notes(state)) or None)


def read_weights(path: Path) -> State:
    """The named weights in a file; their values are not read yet, see `finite`.

    Raises:
        ValueError: no such file, one that is damaged or contains code, or weights that are no plain tensors.
    """
    return _opened(path)[0]


def _opened(path: Path) -> tuple[State, Notes]:
    """The named weights in a file, and the notes beside them."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected weights as {', '.join(ENDINGS)}.")
    notes: Notes = {}
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                content: Any = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
                notes = file.metadata() or {}
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's of tensors that are refused below
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path}: contains more than weights, or is damaged; code in a file is never run. "
            "Save the model's state_dict() only, preferably as .safetensors."
        ) from error
    except Exception as error:  # safetensors and torch raise many types for a damaged file
        raise ValueError(f"{path}: cannot be read as weights: {error}") from error
    for inside in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(inside), dict):
            content = content[inside]
    named = content.items() if isinstance(content, dict) else ()
    state = {
        key: _plain(value.detach(), key, path)
        for key, value in named
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not state:
        raise ValueError(f"{path}: contains no named weights; expected a state_dict().")
    return state, notes or _notes(content)


def _plain(values: Tensor, name: str, path: Path) -> Tensor:
    """The tensor, unchanged.

    Raises:
        ValueError: it is sparse, quantised, complex or without values.
    """
    kinds = {
        "is sparse": values.layout != torch.strided,
        "is quantised": values.is_quantized,
        "is complex": values.is_complex(),
        "has no values": values.is_meta,
    }
    for kind, is_so in kinds.items():
        if is_so:
            raise ValueError(
                f"{path}: {shown(name)} {kind}; expected a dense tensor of real numbers. Save the state_dict() of "
                "the model as it was trained."
            )
    return values


def _notes(state: object) -> Notes:
    """The texts in the metadata of a `state_dict`, of all its modules."""
    modules = getattr(state, "_metadata", None)
    kept = modules.values() if isinstance(modules, Mapping) else ()
    return {
        name: text
        for notes in kept
        if isinstance(notes, Mapping)
        for name, text in notes.items()
        if isinstance(name, str) and isinstance(text, str)
    }


def _refuse_notes(path: Path, theirs: Notes, ours: Notes) -> None:
    for name, text in ours.items():
        if theirs.get(name, text) != text:
            raise ValueError(
                f"{path}: these weights were trained with the {name} {shown(theirs[name])}, the model has {text!r}. "
                f"Set the {name} of the weights."
            )


def finite(state: State, path: str | Path) -> State:
    """The weights, unchanged. Call it after their shapes are known: a small file may declare a huge tensor.

    Raises:
        ValueError: some are NaN or infinite.
    """
    for name, values in state.items():
        array = (values.float() if values.is_floating_point() else values).numpy()
        found = np.isfinite(array)  # ten times as fast as torch.isfinite
        if not found.all():
            count = found.size - np.count_nonzero(found)
            raise ValueError(
                f"{path}: {count} of {found.size} values of {name} are NaN or infinite. Copy the file again, or "
                "train again."
            )
    return state


def _renamed(state: State, wanted: Iterable[str]) -> tuple[State, str]:
    """The weights under the model's names, where these match, and the prefix that was added to match them.

    timm writes stages.0 in a network and stages_0 in its feature extractor: "." and "_" count as equal.
    """
    names = {key.replace("_", "."): key for key in wanted}
    best: tuple[int, State, str] = (-1, state, "")
    for inner in _unwrapped(state):
        for added in ("", *_WRAPPERS, "model.model."):
            keys = {key: f"{added}{key}" for key in inner}
            matched = {key: names.get(long.replace("_", ".")) for key, long in keys.items()}
            hits = sum(name is not None for name in matched.values())
            if hits > best[0]:
                best = (hits, {matched[k] or keys[k]: value for k, value in inner.items()}, added)
    return best[1], best[2]


def _without(state: State, added: str, layers: tuple[str, ...]) -> State:
    """The weights that are in none of the layers."""
    left_out = tuple(f"{added}{layer}." for layer in layers)
    return {key: value for key, value in state.items() if not key.startswith(left_out)}


def _unwrapped(state: State, depth: int = _DEPTH) -> Iterator[State]:
    yield state
    for prefix in _WRAPPERS if depth else ():
        inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        if inner:
            yield from _unwrapped(inner, depth - 1)


def _layer(key: str, added: str) -> str:
    """The outermost layer of a key: model.stages_0.blocks.1.weight -> stages."""
    return re.split(r"_\d|\.", key.removeprefix(added))[0]


def _adapted(weight: Tensor, like: Tensor, channels: int) -> Tensor:
    """`weight` with the number of input channels of `like`, if it was made for colour images."""
    colour = weight.ndim == like.ndim == 4 and weight.shape[1] == 3 and like.shape[1] == channels
    alike = colour and _sides(weight.shape, 1) == _sides(like.shape, 1)
    if not alike or weight.shape == like.shape:
        return weight
    from timm.models import adapt_input_conv

    adapted: Tensor = adapt_input_conv(channels, weight)
    return adapted


def _sides(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A shape without one axis."""
    return (*shape[:axis], *shape[axis + 1 :])


Sizes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


def _sizes(state: State, wanted: State) -> Sizes:
    """Shapes in the file and in the model, for weights where they differ."""
    return {
        key: (tuple(value.shape), tuple(wanted[key].shape))
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    }


def _refuse_channels(path: Path, sizes: Sizes) -> None:
    """Raise a specific error if only the number of input or output channels differs."""
    pairs = [(f, m) for f, m in sizes.values() if f and len(f) == len(m)]
    outputs = {(f[0], m[0]) for f, m in pairs if _sides(f, 0) == _sides(m, 0)}
    inputs = {(f[1], m[1]) for f, m in pairs if len(f) > 1 and _sides(f, 1) == _sides(m, 1)}
    both = sum(any(_sides(f, axis) == _sides(m, axis) for axis in (0, 1)) for f, m in pairs)
    if both < len(sizes) or len(outputs) > 1 or len(inputs) > 1:
        return
    parts = [
        f"the checkpoint has {theirs} output channels, the recipe's labels need {ours}"
        for theirs, ours in outputs
    ] + [
        f"the checkpoint takes {theirs} input channels, the recipe's images have {ours}"
        for theirs, ours in inputs
    ]
    raise ValueError(
        f"{path}: {', and '.join(parts)}. Use the recipe it was trained with, or start from the layers that "
        "fit: model.init_from."
    )


def _refuse(path: Path, missing: Iterable[str], unexpected: Iterable[str], sizes: Sizes) -> None:
    shown = [f"{key} is {theirs}, expected {ours}" for key, (theirs, ours) in sizes.items()]
    parts = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in (
            ("missing", sorted(missing)),
            ("unexpected", sorted(unexpected)),
            ("of another size", shown),
        )
        if keys
    ]
    if parts:
        raise ValueError(f"{path}: these are weights of another network: {'; '.join(parts)}.")
