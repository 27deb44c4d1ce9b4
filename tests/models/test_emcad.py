from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from delineate.models import weights_of
from delineate.models.emcad import emcad

SMALL = "mobilenetv3_small_050"


def assert_same(one: torch.nn.Module, other: torch.nn.Module) -> None:
    state = other.state_dict()
    assert one.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("encoder", ["pvt_v2_b0", "resnet18", "convnext_atto", SMALL])
@pytest.mark.parametrize(("channels", "classes"), [(1, 1), (4, 3)])
def test_four_maps_at_the_size_of_the_image_on_any_encoder(encoder, channels, classes):
    model = emcad(channels=channels, classes=classes, encoder=encoder).train()
    output = model(torch.randn(2, channels, 64, 96))
    assert output.logits.shape == (2, classes, 64, 96)
    assert [side.shape for side in output.sides] == [output.logits.shape] * 3
    sum(array.square().mean() for array in output.arrays()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_an_encoder_with_its_channels_last_gives_maps_too():
    with torch.no_grad():
        output = emcad(encoder="swin_tiny_patch4_window7_224")(torch.randn(1, 3, 224, 224))
    assert output.logits.shape == (1, 1, 224, 224)


def test_a_block_adds_its_three_convolutions_of_wider_maps():
    torch.manual_seed(0)
    model = emcad(encoder=SMALL, expansion=3).eval()
    width = model.decoder.mscb1[0].pconv1[0].out_channels
    assert width == 3 * model.out_head1.in_channels
    block = model.decoder.mscb1[0].msdc
    maps = torch.rand(1, width, 8, 8)
    torch.testing.assert_close(block(maps), sum(conv(maps) for conv in block.dwconvs))


def test_blocks_are_skipped_while_training_as_asked():
    def rates(**arguments: object) -> set[float]:
        with torch.device("meta"):
            model = emcad(**arguments)
        return {m.drop_prob for m in model.modules() if isinstance(m, timm.layers.DropPath)}

    assert max(rates(encoder="pvt_v2_b0")) == pytest.approx(0.1)
    assert rates(encoder="pvt_v2_b0", drop_path=0.0) == set()
    assert rates(encoder="resnet18") == set()
    assert max(rates(encoder="resnet18", drop_path=0.2)) == pytest.approx(0.2)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("channels", [1, 3])
def test_weights_of_a_whole_network_come_back_bit_for_bit(ending, prefix, channels, tmp_path):
    """An official file has the convolution for images with one channel, which others ignore."""
    theirs = emcad(channels=channels, encoder="pvt_v2_b0")
    grey = emcad(channels=1, encoder="pvt_v2_b0").state_dict()
    state = {**grey, **theirs.state_dict()}
    state = {prefix + key: value for key, value in state.items()}
    file = tmp_path / f"weights{ending}"
    save_file(state, file) if ending == ".safetensors" else torch.save({"model": state}, file)
    assert_same(emcad(channels=channels, encoder="pvt_v2_b0", weights=str(file)), theirs)


@pytest.mark.parametrize("layout", ["timm", "official"])
def test_weights_of_the_encoder_under_either_names(layout, tmp_path):
    torch.manual_seed(0)
    encoder = timm.create_model("pvt_v2_b0")
    source = emcad(encoder="pvt_v2_b0").backbone
    state = encoder.state_dict() if layout == "timm" else source.state_dict()
    torch.save({**state, "head.weight": torch.zeros(1000, 256)}, tmp_path / "pvt.pth")
    model = emcad(encoder="pvt_v2_b0", pretrained=str(tmp_path / "pvt.pth"))
    if layout == "official":
        assert_same(model.backbone, source)
        return
    last = model.backbone.get_submodule("block4.1.mlp.dwconv.dwconv")
    assert torch.equal(last.weight, encoder.stages[3].blocks[1].mlp.dwconv.weight)
    assert torch.equal(
        model.backbone.get_submodule("patch_embed1.proj").weight, encoder.patch_embed.proj.weight
    )


def test_our_own_file_says_the_activation_too(tmp_path):
    file = tmp_path / "weights.safetensors"
    model = emcad(encoder=SMALL, activation="relu")
    file.write_bytes(weights_of(model))
    said = "weights.safetensors: these weights were trained with the activation 'relu', the model has 'relu6'"
    with pytest.raises(ValueError, match=said):
        emcad(encoder=SMALL, weights=str(file))
    assert_same(emcad(encoder=SMALL, activation="relu", weights=str(file)), model)


@pytest.mark.parametrize("wrap", [False, True])
def test_weights_for_the_other_activation_are_refused_where_the_file_says_it(wrap, tmp_path):
    state = emcad(encoder=SMALL, activation="relu").state_dict()
    file = tmp_path / "w.pth"
    torch.save({"state_dict": state} if wrap else state, file)
    with pytest.raises(
        ValueError, match="trained with the activation 'relu', the model has 'relu6'"
    ):
        emcad(encoder=SMALL, weights=str(file))
    assert emcad(encoder=SMALL, activation="relu", weights=str(file))
    save_file(dict(state), tmp_path / "w.safetensors", metadata={"activation": "relu"})
    with pytest.raises(ValueError, match="trained with the activation 'relu'"):
        emcad(encoder=SMALL, weights=str(tmp_path / "w.safetensors"))


def test_weights_of_another_number_of_classes_are_refused_with_both(tmp_path):
    torch.save(emcad(encoder=SMALL).state_dict(), tmp_path / "w.pth")
    with pytest.raises(ValueError, match="has 1 output channels, the recipe's labels need 3"):
        emcad(encoder=SMALL, classes=3, weights=str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ndim": 3}, "2 spatial axes; the data have 3. Use unet"),
        ({"encoder": "pvt_v2_b22"}, "no encoder 'pvt_v2_b22'; similar names: pvt_v2_b2"),
        (
            {"encoder": "vit_tiny_patch16_224"},
            r"maps at the strides 4, 8, 16, 32; those .* 16, 16, 16",
        ),
        ({"encoder": "vgg11", "drop_path": 0.1}, "emcad cannot be built on vgg11"),
        ({"pretrained": "in1k"}, "expected imagenet"),
        ({"weights": "none.pth"}, "none.pth: no such file"),
        ({"weights": "a.pth", "pretrained": "imagenet"}, "Leave out one of the two"),
    ],
)
def test_what_is_not_so_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        emcad(**{"encoder": SMALL, **arguments})


@pytest.mark.parametrize("encoder", ["hiera_tiny_224", "efficientformer_l1"])
def test_an_encoder_of_fixed_size_says_so_whatever_timm_raises(encoder):
    with torch.device("meta"):
        model = emcad(encoder=encoder)
        with pytest.raises(
            ValueError, match=r"does not take images of \(64, 96\).*without a fixed"
        ):
            model(torch.zeros(2, 3, 64, 96))


def test_other_errors_of_an_encoder_are_not_about_its_size():
    model = emcad(encoder=SMALL)
    model.backbone.forward = lambda pixels: (_ for _ in ()).throw(RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match=r"^out of memory"):
        model(torch.zeros(2, 3, 64, 96))


def test_a_size_that_does_not_divide_is_refused_with_the_step_to_add():
    model = emcad(encoder=SMALL)
    with pytest.raises(
        ValueError, match=r"multiples of 32, not \(64, 70\).*\{pad: \{multiple: 32\}\}"
    ):
        model(torch.randn(2, 3, 64, 70))
