"""Settings that make a training step faster without changing the method."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import torch
from torch import Tensor, nn


def fast_memory_format(model: nn.Module) -> torch.memory_format:
    """Set a model's convolutions to channels-last memory format, in place, and return the format for its input.

    On a CPU a U-Net in float32 then takes 0.7 to 0.95 of the time; on a GPU mixed precision becomes faster.
    """
    volumes = any(p.ndim == 5 for p in model.parameters())
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(memory_format=torch.channels_last)
        elif isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.to(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if volumes else torch.channels_last


def fast_on_cpu(model: nn.Module) -> None:
    """Make a model train faster on a CPU, for a few percent more memory. Call it once, before training.

    Depthwise convolutions are excluded from mixed precision, in place: oneDNN computes their gradients 2 to 30
    times slower in bf16 than in float32, except for width 3 and stride 1. The process also keeps the memory that
    it frees; glibc would return it to the system and request it again, zeroed, at every step.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels:
            plain = module.kernel_size == (3, 3) and module.stride == (1, 1)
            if not plain and not isinstance(module, _Float32):
                kind: Any = type(module)
                module.__class__ = _in_float32(kind)
    _keep_memory()


class _Float32(nn.Module):
    """Mixin that makes a layer compute in float32 under mixed precision on a CPU."""

    def forward(self, maps: Tensor) -> Tensor:
        if not (maps.is_cpu and torch.is_autocast_enabled("cpu")):
            result: Tensor = super().forward(maps)
            return result
        with torch.autocast("cpu", enabled=False):
            result = super().forward(maps.float())
        return result.to(torch.get_autocast_dtype("cpu"))


@functools.cache
def _in_float32(kind: Any) -> Any:
    return type(f"Float32{kind.__name__}", (_Float32, kind), {})


def _keep_memory() -> None:
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:  # other C libraries have none
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        set_option(m_mmap_threshold, 2**30)
        set_option(m_trim_threshold, 2**31 - 1)
