from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from delineate.models.pranet import _reverse, pranet

SMALL = "mobilenetv3_small_050"


def assert_same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    state = other.state_dict()
    assert one.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (3, 3), (5, 2)])
def test_four_maps_at_the_size_of_the_image(channels, classes):
    model = pranet(channels=channels, classes=classes, encoder=SMALL).train()
    output = model(torch.randn(2, channels, 64, 96))
    assert output.logits.shape == (2, classes, 64, 96)
    assert [side.shape for side in output.sides] == [output.logits.shape] * 3


def test_reverse_attention_looks_where_the_background_is():
    logits = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(_reverse(logits), logits.softmax(1)[:, :1])
    binary = torch.cat([torch.zeros_like(logits[:, :1]), logits[:, :1]], 1)
    torch.testing.assert_close(_reverse(logits[:, :1]), 1 - logits[:, :1].sigmoid())
    torch.testing.assert_close(_reverse(binary), _reverse(logits[:, :1]))


def test_several_classes_change_the_last_layers_only():
    with torch.device("meta"):
        one, three = (pranet(classes=n).state_dict() for n in (1, 3))
    assert one.keys() == three.keys()
    layers = {key.rpartition(".")[0] for key in one if one[key].shape != three[key].shape}
    ends = {
        f"ra{level}_conv{last}.{part}"
        for level, last in ((4, 5), (3, 4), (2, 4))
        for part in ("conv", "bn")
    }
    assert layers == {"agg1.conv5", *ends}


def test_every_weight_of_the_default_network_learns():
    model = pranet().train()
    output = model(torch.randn(2, 3, 64, 64))
    sum(array.square().mean() for array in output.arrays()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_a_whole_network_come_back_bit_for_bit(ending, prefix, tmp_path):
    theirs = pranet(encoder=SMALL)
    state = {prefix + key: value for key, value in theirs.state_dict().items()}
    state[f"{prefix}resnet.fc.weight"] = torch.zeros(1000, 4)
    file = tmp_path / f"weights{ending}"
    save_file(state, file) if ending == ".safetensors" else torch.save({"state_dict": state}, file)
    assert_same(pranet(encoder=SMALL, weights=str(file)), theirs)


def test_weights_of_the_encoder_without_its_classifier(tmp_path):
    encoder = timm.create_model("res2net50d")
    torch.save(encoder.state_dict(), tmp_path / "res2net50_v1b.pth")
    model = pranet(channels=1, pretrained=str(tmp_path / "res2net50_v1b.pth"))
    assert torch.equal(model.resnet.layer4[2].conv3.weight, encoder.layer4[2].conv3.weight)
    torch.testing.assert_close(
        model.resnet.conv1[0].weight, encoder.conv1[0].weight.sum(1, keepdim=True)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("ra4_conv5.bn.bias"), r"1 missing \(ra4_conv5.bn.bias\)"),
        (lambda s: s.update({"ra5.weight": torch.ones(1)}), r"1 unexpected \(ra5.weight\)"),
        (lambda s: s["agg1.conv5.bias"].fill_(torch.nan), "agg1.conv5.bias are NaN or infinite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(change, message, tmp_path):
    state = pranet(encoder=SMALL).state_dict()
    change(state)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=message):
        pranet(encoder=SMALL, weights=str(tmp_path / "w.pth"))


def test_weights_of_other_images_or_labels_are_refused_with_both_numbers(tmp_path):
    torch.save(pranet(encoder=SMALL).state_dict(), tmp_path / "w.pth")
    for arguments, message in (
        ({"classes": 3}, "has 1 output channels, the recipe's labels need 3"),
        ({"channels": 1}, "takes 3 input channels, the recipe's images have 1"),
    ):
        with pytest.raises(ValueError, match=message):
            pranet(encoder=SMALL, weights=str(tmp_path / "w.pth"), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ndim": 3}, "2 spatial axes; the data have 3. Use unet"),
        ({"encoder": "res2net50dd"}, "no encoder 'res2net50dd'; similar names: res2net50d"),
        (
            {"encoder": "vit_tiny_patch16_224"},
            r"maps at the strides 8, 16, 32; those .* at 16, 16, 16",
        ),
        ({"pretrained": "imagenett"}, "expected imagenet"),
        ({"encoder": "resnet10t.untrained", "pretrained": "imagenet"}, "no pretrained weights"),
        ({"weights": "none.pth"}, "none.pth: no such file"),
        ({"weights": "a.pth", "pretrained": "imagenet"}, "Leave out one of the two"),
    ],
)
def test_what_is_not_so_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pranet(**{"encoder": SMALL, **arguments})


def test_a_size_that_does_not_divide_is_refused_with_the_step_to_add():
    model = pranet(encoder=SMALL)
    with pytest.raises(
        ValueError, match=r"multiples of 32, not \(264, 264\).*\{pad: \{multiple: 32\}\}"
    ):
        model(torch.randn(2, 3, 264, 264))


def test_an_encoder_of_fixed_size_says_so():
    with pytest.raises(
        ValueError, match=r"does not take images of \(64, 64\).*without a fixed size"
    ):
        pranet(encoder="swin_tiny_patch4_window7_224")(torch.randn(2, 3, 64, 64))
