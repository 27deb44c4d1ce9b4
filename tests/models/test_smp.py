from __future__ import annotations

import pytest
import segmentation_models_pytorch
import torch

from delineate.core import Output
from delineate.models.smp import smp

ENCODERS = {"dpt": "vit_tiny_patch16_224"}
SIZES = {"pan": 128}
OPTIONS = {
    "dpt": {"decoder_fusion_channels": 16, "decoder_intermediate_channels": [16, 16, 16, 16]}
}


@pytest.mark.parametrize("arch", sorted(segmentation_models_pytorch.MODEL_ARCHITECTURES_MAPPING))
def test_every_architecture(arch):
    model = smp(
        channels=1,
        classes=2,
        ndim=2,
        arch=arch,
        encoder=ENCODERS.get(arch, "mobilenetv3_small_050"),
        **OPTIONS.get(arch, {}),
    )
    size = SIZES.get(arch, 64)
    with torch.no_grad():
        output = model.eval()(torch.randn(1, 1, size, size + 32))
    assert isinstance(output, Output)
    assert output.logits.shape == (1, 2, size, size + 32)


@pytest.mark.parametrize(
    ("arch", "encoder", "channels", "classes", "count"),
    [
        ("Unet", "timm-mobilenetv3_large_100", 3, 6, 6_686_550),
        ("unet", "tf_mobilenetv3_large_100", 3, 6, 6_686_550),
        ("unetplusplus", "efficientnet-b2", 3, 1, 10_401_299),
        ("UNet++", "timm-efficientnet-b2", 3, 1, 10_401_299),
        ("unet-plus-plus", "tu-efficientnet_b2", 3, 1, 9_811_667),
        ("unet", "convnext_tiny", 3, 1, 31_928_753),
        ("unet", "convnext_tiny", 1, 1, 31_925_681),
        ("DeepLabV3+", "resnet50", 3, 3, 26_678_099),
        ("unet", "resnet34", 3, 3, 24_436_659),
    ],
)
def test_numbers_of_parameters(arch, encoder, channels, classes, count):
    with torch.device("meta"):
        model = smp(channels=channels, classes=classes, ndim=2, arch=arch, encoder=encoder)
    assert sum(p.numel() for p in model.parameters()) == count


def test_the_two_mobilenets_differ_in_what_they_do_with_the_same_weights():
    made = {}
    for encoder in ("mobilenetv3_large_100", "tf_mobilenetv3_large_100"):
        model = smp(channels=3, classes=1, ndim=2, arch="unet", encoder=encoder).eval()
        made[encoder] = model
    first, second = made.values()
    second.load_state_dict(first.state_dict())
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(first(pixels).logits, second(pixels).logits)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ndim": 3}, "2 spatial axes; the data have 3. Use unet"),
        ({"arch": "unett"}, "no arch 'unett'; did you mean 'unet'"),
        ({"encoder": "convnext_tinny"}, "'convnext_tinny'; similar names: convnext_tiny"),
        ({"encoder": "convnext_tiny.in12l"}, "no weights 'in12l' for convnext_tiny; did you mean"),
        (
            {"decoder_chanels": [8]},
            "no argument 'decoder_chanels'; did you mean 'decoder_channels'",
        ),
        ({"activation": "sigmoid"}, "no argument 'activation'"),
        ({"decoder_channels": 8}, "decoder_channels is 8; expected a list of whole numbers"),
        (
            {"arch": "fpn", "encoder": "vit_tiny_patch16_224"},
            "cannot build FPN on vit_tiny_patch16",
        ),
        ({"encoder_options": {"img_size": 64}}, "encoder_options are for encoders of timm"),
        (
            {"pretrained": "imagenett"},
            "no weights 'imagenett' for resnet18; did you mean 'imagenet'",
        ),
        ({"pretrained": "in12k", "encoder": "convnext_tiny"}, "named with the encoder"),
        ({"pretrained": "imagenet", "encoder": "resnet10t.untrained"}, "no weights 'untrained'"),
    ],
)
def test_what_is_not_so_is_refused(arguments, message):
    given = {"channels": 1, "classes": 1, "ndim": 2, "arch": "unet", "encoder": "resnet18"}
    with pytest.raises(ValueError, match=message):
        smp(**given | arguments)


def test_a_size_that_does_not_divide_is_refused_with_the_step_to_add():
    model = smp(channels=1, classes=1, ndim=2, arch="fpn", encoder="resnet18")
    with pytest.raises(
        ValueError, match=r"multiples of 32, not \(64, 70\).*\{pad: \{multiple: 32\}\}"
    ):
        model(torch.randn(2, 1, 64, 70))


def test_an_encoder_of_fixed_size_says_so_and_can_be_told():
    given = {"channels": 1, "classes": 1, "ndim": 2, "arch": "dpt", **OPTIONS["dpt"]}
    given["encoder"] = ENCODERS["dpt"]
    fixed = smp(**given, encoder_options={"dynamic_img_size": False})
    with pytest.raises(ValueError, match=r"encoder_options: \{img_size: \[64, 96\]\}"):
        fixed(torch.randn(2, 1, 64, 96))
    told = smp(**given, encoder_options={"dynamic_img_size": False, "img_size": [64, 96]})
    assert told(torch.randn(2, 1, 64, 96)).logits.shape == (2, 1, 64, 96)
