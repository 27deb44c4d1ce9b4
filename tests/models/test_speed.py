from __future__ import annotations

import copy

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from delineate.models import fast_memory_format, fast_on_cpu
from delineate.models.unet import unet


@pytest.mark.parametrize(
    ("ndim", "layout"), [(2, torch.channels_last), (3, torch.channels_last_3d)]
)
def test_the_layout_changes_and_the_logits_do_not(ndim, layout):
    model = unet(channels=3, classes=2, ndim=ndim, features=(4, 8)).eval()
    pixels = torch.randn(1, 3, *[8] * ndim)
    with torch.no_grad():
        before = model(pixels).logits
        assert fast_memory_format(model) == layout
        after = model(pixels.to(memory_format=layout)).logits
    assert model.down[1][0].weight.is_contiguous(memory_format=layout)
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize(
    ("conv", "exact"),
    [
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), True),
        (nn.Conv2d(8, 8, 7, padding=3, groups=8), True),
        (Conv2dSame(8, 8, 5, stride=2, groups=8), True),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), False),
        (nn.Conv2d(8, 8, 5, padding=2), False),
    ],
)
def test_depthwise_convolutions_are_exact_under_mixed_precision(conv, exact):
    torch.manual_seed(0)
    model = nn.Sequential(copy.deepcopy(conv))
    fast_on_cpu(model)
    fast_on_cpu(model)
    copied = copy.deepcopy(model)  # as an average of weights does
    assert model.state_dict().keys() == nn.Sequential(conv).state_dict().keys()
    pixels = torch.randn(1, 8, 16, 16)
    assert torch.equal(model(pixels), conv(pixels))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = copied(pixels)
    assert mixed.dtype == torch.bfloat16
    assert torch.equal(mixed, conv(pixels).bfloat16()) == exact


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_makes_nothing_of_other_systems(system, monkeypatch):
    monkeypatch.setattr("sys.platform", system)
    fast_on_cpu(unet(channels=1, classes=2, ndim=3, features=(4, 8)))
