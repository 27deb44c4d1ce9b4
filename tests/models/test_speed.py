from __future__ import annotations

import pytest
import torch

from delineate.models import fast_memory_format, keep_memory
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


def test_memory_is_kept_wherever_it_can_be(monkeypatch):
    keep_memory()
    monkeypatch.setattr("sys.platform", "darwin")
    keep_memory()
