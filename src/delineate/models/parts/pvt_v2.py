"""timm's PVTv2 under the names of its official weights."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from delineate.models._weights import read_weights


class PvtV2(nn.Module):
    """timm's PVTv2 with the official names of its layers."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        for i in range(4):
            stage = network[f"stages_{i}"]
            self.add_module(f"patch_embed{i + 1}", stage.downsample or network["patch_embed"])
            self.add_module(f"block{i + 1}", stage.blocks)
            self.add_module(f"norm{i + 1}", stage.norm)
            for block in stage.blocks:
                block.mlp.dwconv = nn.Sequential(OrderedDict(dwconv=block.mlp.dwconv))

    def forward(self, maps: Tensor) -> list[Tensor]:
        """(batch, channel, *spatial) -> maps at the strides 4, 8, 16 and 32."""
        found = []
        for i in range(1, 5):
            tokens = self.get_submodule(f"patch_embed{i}")(maps)  # (batch, *spatial, channel)
            batch, height, width, channels = tokens.shape
            tokens = tokens.reshape(batch, -1, channels)
            for block in self.get_submodule(f"block{i}").children():
                tokens = block(tokens, (height, width))
            tokens = self.get_submodule(f"norm{i}")(tokens)
            maps = tokens.reshape(batch, height, width, channels).permute(0, 3, 1, 2).contiguous()
            found.append(maps)
        return found


def has_official_names(file: str) -> bool:
    """Whether a file of weights of PVTv2 has the official names, not timm's."""
    return any("patch_embed1." in key for key in read_weights(Path(file)))
