"""What every model of the folder keeps."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from delineate.core import Output
from delineate.models import HEADS, load_model, load_weights
from delineate.resolve import Call, names, resolve

NEEDED: dict[str, dict[str, Any]] = {
    "smp": {"arch": "unet", "encoder": "mobilenetv3_small_050"},
    "classifier": {"encoder": "mobilenetv3_small_050"},
}
DIMENSIONS = {2: (32, 64), 3: (8, 16, 16)}
MODELS = names("models")


def heads_of(name: str) -> list[str]:
    """The heads that a model has, by what it asks for."""
    asked = inspect.signature(resolve("models", name)).parameters
    return [head for head, argument in HEADS.items() if argument in asked]


def logits_of(name: str, output: Output[torch.Tensor]) -> torch.Tensor:
    assert list(output.heads) == heads_of(name)
    return output.logits if "dense" in output.heads else output.image_logits


def make(name: str, channels: int, classes: int, ndim: int) -> torch.nn.Module:
    torch.manual_seed(0)
    call = Call(name, NEEDED.get(name, {}))
    try:
        return load_model(call, channels, dict.fromkeys(heads_of(name), classes), ndim)
    except ValueError as error:
        if ndim == 2 or "2 spatial axes, the data have 3" not in str(error):
            raise
        pytest.skip(str(error))  # a model may be for 2D alone, if it says so


@pytest.mark.parametrize("ndim", DIMENSIONS)
@pytest.mark.parametrize(("channels", "classes"), [(1, 3), (4, 1)])
@pytest.mark.parametrize("name", MODELS)
def test_each_head_has_the_channels_asked_for(name, channels, classes, ndim):
    model = make(name, channels, classes, ndim)
    output = model(torch.randn(2, channels, *DIMENSIONS[ndim]))
    assert isinstance(output, Output)
    logits = logits_of(name, output)
    spatial = DIMENSIONS[ndim] if output.dense is not None else ()
    assert logits.shape == (2, classes, *spatial)
    assert logits.std() > 0
    logits.square().mean().backward()
    grads = [p.grad for p in model.parameters() if p.requires_grad]
    assert sum(g is not None and bool(g.isfinite().all()) for g in grads) > 0.9 * len(grads)


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
        one, two = (logits_of(name, m.eval()(pixels)) for m in (model, other))
        assert torch.equal(one, two)


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
        ours, theirs = (logits_of(name, m(pixels)) for m in (model, exported))
        torch.testing.assert_close(theirs, ours)


@pytest.mark.parametrize("name", MODELS)
def test_a_task_that_needs_another_head_is_told_which_models_have_it(name):
    other = next(head for head in HEADS if head not in heads_of(name))
    with pytest.raises(ValueError, match=f"{name} has no {other} head.*Models that have one"):
        load_model(Call(name, NEEDED.get(name, {})), 1, {other: 1}, 2)
