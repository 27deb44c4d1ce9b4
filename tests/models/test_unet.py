from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.models.unet import unet

SMALL = {"channels": 1, "classes": 2, "features": (4, 6, 8)}


@settings(max_examples=20, deadline=None)
@given(shape=st.lists(st.integers(1, 19), min_size=2, max_size=3))
def test_takes_any_size(shape):
    model = unet(**SMALL, ndim=len(shape)).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 1, *shape)).logits.shape == (1, 2, *shape)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {"norm": "batch", "activation": "relu", "residual": True},
        {"norm": "instance", "activation": "leaky_relu", "dropout": 0.1},
        {"norm": "group", "activation": "gelu", "convs": 1},
        {"activation": "silu", "residual": True, "dropout": 0.1, "convs": 3},
    ],
)
def test_every_option_learns(ndim, options):
    torch.manual_seed(0)
    model = unet(**SMALL, ndim=ndim, **options)
    model(torch.randn(2, 1, *[12] * ndim)).logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_deeper_levels_answer_while_training_only():
    model = unet(channels=1, classes=3, ndim=2, features=(4, 6, 8, 10), deep_supervision=True)
    output = model(torch.randn(2, 1, 33, 40))
    assert [tuple(side.shape) for side in output.sides] == [(2, 3, 17, 20), (2, 3, 9, 10)]
    assert model.eval()(torch.randn(2, 1, 33, 40)).sides == ()


def test_number_of_parameters_by_hand():
    # down 1>4>4, 4>6>6; narrow 6>4; up 8>4>4; head 4>2; batch norm has two per channel
    convs = 9 * (1 * 4 + 4 * 4 + 4 * 6 + 6 * 6 + 8 * 4 + 4 * 4)
    norms = 2 * (4 + 4 + 6 + 6 + 4 + 4)
    model = unet(channels=1, classes=2, ndim=2, features=(4, 6))
    expected = convs + norms + (6 * 4 + 4) + (4 * 2 + 2)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ndim": 1}, "2 or 3 spatial axes; the data have 1"),
        ({"features": (8,)}, "two levels or more"),
        ({"convs": 0}, "convs is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_what_is_not_so_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        unet(**{**SMALL, "ndim": 2} | arguments)
