"""What every model of the folder keeps; a new file is tested by being there."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from delineate.core import Label, LabelSet, Objects, Output, Target
from delineate.models import HEADS, load_model, load_weights, sees_target
from delineate.resolve import GIVEN, Call, names, resolve

SMALL: dict[str, dict[str, Any]] = {
    "smp": {"arch": "unet", "encoder": "mobilenetv3_small_050"},
    "classifier": {"encoder": "mobilenetv3_small_050"},
    "pranet": {"encoder": "mobilenetv3_small_050"},
    "emcad": {"encoder": "pvt_v2_b0"},
}
"""Of models on encoders of a library, the names of small ones."""

DIMENSIONS = {2: (32, 64), 3: (8, 16, 16)}
ODD = {2: (41, 67), 3: (9, 17, 19)}
LABELS = LabelSet((Label("a", 1), Label("b", 2)))
every = pytest.mark.parametrize("name", names("models"))


def heads_of(name: str) -> list[str]:
    """The heads that a model has, by what it asks for."""
    asked = inspect.signature(resolve("models", name)).parameters
    return [head for head, argument in HEADS.items() if argument in asked]


def make(name: str, needed: Any, channels: int, classes: int, ndim: int) -> torch.nn.Module:
    torch.manual_seed(0)
    args = SMALL.get(name) or needed(resolve("models", name), GIVEN["models"], ndim)
    try:
        return load_model(Call(name, args), channels, dict.fromkeys(heads_of(name), classes), ndim)
    except ValueError as error:
        if "the data have" not in str(error):
            raise
        pytest.skip(str(error))  # a model may be for one number of axes alone, if it says so


def run(model: torch.nn.Module, pixels: torch.Tensor, classes: int) -> Output[torch.Tensor]:
    """What a model gives; one that must see the truth while it learns sees some."""
    if not (model.training and sees_target(model)):
        return model(pixels)
    batch, spatial = len(pixels), pixels.shape[2:]
    box = torch.tensor([[[1.0] * len(spatial), [5.0] * len(spatial)]])
    objects = Objects(torch.eye(classes)[:1], box, torch.ones(1, *[4] * len(spatial)))
    target = Target(
        torch.randint(max(2, classes), (batch, *spatial)),
        image=torch.ones(batch, classes),
        objects=(objects,) * batch,
    )
    return model(pixels, target=target)


def check_heads(name: str, output: object, pixels: torch.Tensor, classes: int) -> None:
    """Every head is there and has its shape, to the sample."""
    assert isinstance(output, Output)
    assert list(output.heads) == heads_of(name)
    if output.dense is not None:
        assert output.dense.shape == (len(pixels), classes, *pixels.shape[2:])
        assert all(side.shape[:2] == output.dense.shape[:2] for side in output.sides)
    if output.image is not None:
        assert output.image.shape == (len(pixels), classes)
    if output.objects is not None:
        assert len(output.objects) == len(pixels)
        for each in output.objects:
            count = len(each.scores)
            assert each.scores.shape == (count, classes)
            assert each.boxes.shape == (count, 2, pixels.ndim - 2)
            assert each.masks.shape[0] == count
            assert each.masks.ndim == pixels.ndim - 1
    assert all(array.isfinite().all() for array in output.arrays())


@pytest.mark.parametrize("ndim", DIMENSIONS)
@pytest.mark.parametrize(("channels", "classes"), [(1, 3), (4, 1)])
@every
def test_each_head_has_the_channels_asked_for(name, channels, classes, ndim, needed):
    model = make(name, needed, channels, classes, ndim)
    pixels = torch.randn(2, channels, *DIMENSIONS[ndim])
    check_heads(name, model.eval()(pixels), pixels, classes)
    learning = run(model.train(), pixels, classes)
    assert isinstance(learning, Output)
    if not sees_target(model):  # such a model may give its losses alone
        check_heads(name, learning, pixels, classes)
    assert learning.losses or not sees_target(model) or learning.heads


@pytest.mark.parametrize("ndim", ODD)
@every
def test_a_size_that_fits_no_stride_comes_back_or_is_refused_with_what_fits(name, ndim, needed):
    model = make(name, needed, 1, 2, ndim).eval()
    pixels = torch.randn(1, 1, *ODD[ndim])
    try:
        output = model(pixels)
    except ValueError as error:
        assert "multiple" in str(error)  # noqa: PT017
        return
    check_heads(name, output, pixels, 2)


@pytest.mark.parametrize("ndim", DIMENSIONS)
@every
def test_every_weight_that_learns_gets_a_slope_and_every_head_depends_on_the_image(
    name, ndim, needed
):
    """A weight that no head depends on is one that is forgotten; one that is frozen says so (requires_grad)."""
    model = make(name, needed, 1, 3, ndim)
    pixels = torch.randn(2, 1, *DIMENSIONS[ndim])
    output = run(model.train(), pixels, 3)
    total = sum(array.float().square().mean() for array in output.arrays())
    assert isinstance(total, torch.Tensor)
    total.backward()
    learnt = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert learnt
    assert [n for n, p in learnt.items() if p.grad is None] == []
    assert [n for n, p in learnt.items() if not p.grad.isfinite().all()] == []
    idle = [n for n, p in learnt.items() if not p.grad.any()]
    assert len(idle) <= 0.1 * len(learnt), idle  # a unit of ReLU may be off everywhere
    model.eval()
    with torch.no_grad():
        one, other = (model(p).arrays() for p in (pixels, pixels.flip(-1) * 2 + 1))
        for a, b in zip(one, other, strict=True):
            assert a.shape != b.shape or not torch.equal(a, b), "a head does not see the image"


@every
def test_predicting_is_deterministic_and_leaves_its_input_and_its_weights(name, needed):
    model = make(name, needed, 1, 2, 2).eval()
    pixels = torch.randn(1, 1, 32, 32)
    kept = pixels.clone(), {n: value.clone() for n, value in model.state_dict().items()}
    with torch.no_grad():
        one, two = model(pixels), model(pixels)
    for a, b in zip(one.arrays(), two.arrays(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(pixels, kept[0])
    assert all(torch.equal(value, kept[1][n]) for n, value in model.state_dict().items())
    assert one.losses == {}, "losses are computed while a model learns"


@every
def test_an_image_is_seen_alone_while_predicting(name, needed):
    """What is said of an image does not depend on the others of its batch."""
    model = make(name, needed, 1, 2, 2).eval()
    pixels = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        both, alone = model(pixels), model(pixels[:1])
    for head in ("dense", "image"):
        a, b = getattr(both, head), getattr(alone, head)
        if a is not None:
            torch.testing.assert_close(a[:1], b, atol=1e-4, rtol=1e-4)


@every
def test_weights_come_back_from_a_file(name, tmp_path, needed):
    model, other = make(name, needed, 1, 2, 2), make(name, needed, 1, 2, 2)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    pixels = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        one, two = (m.eval()(pixels).arrays() for m in (model, other))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@every
def test_a_checkpoint_of_other_classes_is_refused_with_both_numbers(name, tmp_path, needed):
    save_file(make(name, needed, 1, 3, 2).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="has 3 output channels, the recipe's labels need 1"):
        load_weights(make(name, needed, 1, 1, 2), tmp_path / "w.safetensors")


@every
def test_can_be_exported(name, needed):
    if "objects" in heads_of(name):
        pytest.skip("objects are found by operations that are not traced")
    model = make(name, needed, 1, 2, 2).eval()
    pixels = torch.randn(1, 1, 32, 32)
    exported = torch.export.export(model, (pixels,)).module()
    with torch.no_grad():
        ours, theirs = (m(pixels).arrays() for m in (model, exported))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(b, a)


@every
def test_a_task_that_needs_another_head_is_told_which_models_have_it(name, needed):
    missing = [head for head in HEADS if head not in heads_of(name)]
    if not missing:
        pytest.skip(f"{name} has every head")
    args = SMALL.get(name) or needed(resolve("models", name), GIVEN["models"])
    with pytest.raises(ValueError, match=f"{name} has no {missing[0]} head.*Models that have one"):
        load_model(Call(name, args), 1, {missing[0]: 1}, 2)


HEAD = """\
import torch
from torch import nn
from delineate.core import Output

class Net(nn.Module):
    def __init__(self, channels, classes, ndim):
        super().__init__()
        conv = nn.Conv2d if ndim == 2 else nn.Conv3d
        self.body = conv(channels, 4, 3, padding=1)
        self.head = conv(4, classes, 1)

    def logits(self, pixels):
        return self.head(self.body(pixels).relu())

    def forward(self, pixels):
        return Output(self.logits(pixels))

"""
BAD = {
    "tensor": "    def forward(self, pixels):\n        return self.logits(pixels)\n",
    "halved": "    def forward(self, pixels):\n        return Output(self.logits(pixels)[..., ::2, ::2])\n",
    "cropped": "    def forward(self, pixels):\n        n = pixels.shape[-1] // 4 * 4\n"
               "        return Output(self.logits(pixels[..., :n]))\n",
    "dead_head": "    def forward(self, pixels):\n        return Output(self.logits(0 * pixels))\n",
    "forgetful": "    def __init__(self, *args):\n        super().__init__(*args)\n"
                 "        self.unused = nn.Linear(3, 3)\n",
    "detached": "    def forward(self, pixels):\n        return Output(self.head(self.body(pixels).relu().detach()))\n",
    "dreaming": "    def forward(self, pixels):\n        return Output(self.logits(pixels) + torch.rand(1))\n",
    "counting": "    def __init__(self, *args):\n        super().__init__(*args)\n"
                "        self.register_buffer('seen', torch.zeros(()))\n"
                "    def forward(self, pixels):\n        self.seen += 1\n        return super().forward(pixels)\n",
    "crowd": "    def forward(self, pixels):\n        return Output(self.logits(pixels - pixels.mean()))\n",
    "spoiling": "    def forward(self, pixels):\n        return Output(self.logits(pixels.sub_(1)))\n",
    "peeking": "    def forward(self, pixels, target):\n        return super().forward(pixels)\n",
    "talkative": "    def forward(self, pixels):\n        found = self.logits(pixels)\n"
                 "        return Output(found, losses={'own': found.square().mean()})\n",
}  # fmt: skip
"""Networks that nobody should train."""


def model_file(name: str, body: str) -> str:
    make = f"def {name}(channels, classes, ndim):\n    return Mine(channels, classes, ndim)\n"
    return f"{HEAD}class Mine(Net):\n{body}\n{make}"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_breaks_the_contract(name, add_file, broken):
    add_file("models", name, model_file(name, BAD[name]))
    assert broken(name)


def test_a_model_of_no_name_keeps_the_contract(add_file, broken):
    """Plain, with a head for images besides; and one that must see the truth."""
    add_file("models", "plain", model_file("plain", "    pass\n"))
    assert broken("plain") is None
    taught = (
        "    def forward(self, pixels, target=None):\n"
        "        found = self.logits(pixels)\n"
        "        if target is None:\n            return Output(found)\n"
        "        return Output(losses={'own': found[:, 0][target.classes > 0].square().mean()})\n"
    )
    add_file("models", "taught", model_file("taught", taught))
    assert broken("taught") is None
