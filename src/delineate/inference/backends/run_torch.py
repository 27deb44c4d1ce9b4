"""A torch module as a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from delineate.core import Network, Output
from delineate.models import fast_memory_format, load_model, load_weights
from delineate.recipe import Recipe
from delineate.tasks import load_task


def load_network(folder: Path, recipe: Recipe, card: Mapping[str, Any], device: str) -> Network:
    """The network of a bundle: the recipe's model with the weights in `folder`.

    Raises:
        ValueError: the weights do not fit the model, or the device is not there.
    """
    # the weights replace whatever the model would start from, so nothing need be fetched
    model = load_model(
        recipe.model,
        channels=card["channels"],
        heads=load_task(recipe.task, recipe.labels).heads,
        ndim=card["ndim"],
        pretrained=False,
    )
    load_weights(model, folder / "weights.safetensors")
    model.eval()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    run = run_torch(model, device)

    def network(pixels: np.ndarray) -> Output[np.ndarray]:
        if pixels.shape[1] != card["channels"]:
            advice = (
                f"A recipe that begins prepare with {{channels: {card['channels']}}} converts grey and colour."
                if card["channels"] in (1, 3)
                else "Give all channels of the image, in the order of the training data."
            )
            raise ValueError(
                f"the image has {pixels.shape[1]} channel(s) when prepared, the network takes "
                f"{card['channels']}. {advice}"
            )
        return run(pixels)

    return network


def run_torch(
    model: nn.Module, device: str | torch.device | None = None, *, bf16: bool = False
) -> Network:
    """A network that runs `model`, which returns an Output of tensors, in evaluation mode.

    Args:
        model: moved to `device`, convolutions laid out channels last; its training mode
            is given back after each call. Several threads may call a network whose model is in evaluation mode.
        device: "cpu", "cuda", "cuda:1", "mps"; if left out, wherever the model is when it is called.
        bf16: autocast to bfloat16: faster where the processor has it, within rounding of float32.

    Raises:
        ValueError: the device is not there.
    """
    if device is not None:
        model = model.to(_present(torch.device(device)))
    layout = fast_memory_format(model)

    def network(pixels: np.ndarray) -> Output[np.ndarray]:
        here = next(model.parameters()).device
        batch = torch.from_numpy(pixels).to(here).contiguous(memory_format=layout)
        with (
            _evaluating(model),
            torch.inference_mode(),
            torch.autocast(here.type, torch.bfloat16, enabled=bf16),
        ):
            output: Output[torch.Tensor] = model(batch)
        return output.map(lambda tensor: tensor.float().cpu().contiguous().numpy())

    return network


def _present(device: torch.device) -> torch.device:
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        found = [name for name, is_there in there.items() if is_there]
        raise ValueError(
            f"device {str(device)!r} was asked for, but this machine has: {', '.join(found)}. "
            "Use --device cpu, or leave it out."
        )
    return device


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """A model that is in evaluation mode already is not touched, so that several threads may run it."""
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
