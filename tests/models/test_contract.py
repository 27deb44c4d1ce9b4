"""What every model of the folder keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from delineate.core import Output
from delineate.models import load_model, load_weights
from delineate.resolve import Call, names

NEEDED: dict[str, dict[str, Any]] = {"smp": {"arch": "unet", "encoder": "mobilenetv3_small_050"}}
DIMENSIONS = {2: (32, 64), 3: (8, 16, 16)}
MODELS = names("models")


def make(name: str, channels: int, classes: int, ndim: int) -> torch.nn.Module:
    torch.manual_seed(0)
    call = Call(name, NEEDED.get(name, {}))
    try:
        return load_model(call, channels, {"dense": classes}, ndim)
    except ValueError as error:
        if ndim == 2 or "2 spatial axes, the data have 3" not in str(error):
            raise
        pytest.skip(str(error))  # a model may be for 2D alone, if it says so


@pytest.mark.parametrize("ndim", DIMENSIONS)
@pytest.mark.parametrize(("channels", "classes"), [(1, 3), (4, 1)])
@pytest.mark.parametrize("name", MODELS)
def test_logits_are_as_large_as_the_image(name, channels, classes, ndim):
    model = make(name, channels, classes, ndim)
    output = model(torch.randn(2, channels, *DIMENSIONS[ndim]))
    assert isinstance(output, Output)
    assert output.logits.shape == (2, classes, *DIMENSIONS[ndim])
    assert output.logits.std() > 0
    output.logits.square().mean().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_weights_come_back_from_a_file(name, tmp_path):
    model, other = make(name, 1, 2, 2), make(name, 1, 2, 2)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    pixels = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.eval()(pixels).logits, other.eval()(pixels).logits)


@pytest.mark.parametrize("name", MODELS)
def test_a_checkpoint_of_other_classes_is_refused_with_both_numbers(name, tmp_path):
    save_file(make(name, 1, 3, 2).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="has 3 output channels, the recipe's labels need 1"):
        load_weights(make(name, 1, 1, 2), tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", MODELS)
def test_can_be_exported(name):
    model = make(name, 1, 2, 2).eval()
    pixels = torch.randn(1, 1, 32, 32)
    exported = torch.export.export(model, (pixels,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(pixels).logits, model(pixels).logits)
