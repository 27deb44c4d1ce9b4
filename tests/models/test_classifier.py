"""Any timm network as a classifier of whole images."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from delineate.models.classifier import classifier


def make(encoder, channels=3, **more):
    return classifier(channels=channels, image_classes=2, ndim=2, encoder=encoder, **more).eval()


@pytest.mark.parametrize("encoder", ["resnet18", "convnext_atto", "mobilenetv3_small_050"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_weights_of_a_file_of_timm_are_taken_but_for_its_classifier(encoder, channels, tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model(encoder, num_classes=7).eval()
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    model = make(encoder, channels, pretrained=str(tmp_path / "w.safetensors"))
    assert model(torch.randn(1, channels, 64, 64)).image_logits.shape == (1, 2)
    if channels == 3:
        pixels = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            pooled = theirs.forward_head(theirs.forward_features(pixels), pre_logits=True)
            torch.testing.assert_close(model.network(pixels), pooled)


def test_efficientnet_b3_has_the_size_of_the_published_filter():
    """10,697,769 weights with one logit, RGB; 10,697,049 with one channel."""
    count = [
        sum(p.numel() for p in classifier(channels=c, image_classes=1, ndim=2, encoder="efficientnet_b3").parameters())
        for c in (3, 1)
    ]  # fmt: skip
    assert count == [10_697_769, 10_697_049]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"encoder": "resnet81"}, "no network 'resnet81'; similar names:"),
        ({"encoder": "resnet18", "pretrained": "imagenot"}, "pretrained is 'imagenot'"),
        ({"encoder": "resnet18", "pretrained": "no.safetensors"}, "no such file"),
    ],
)
def test_nonsense_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        make(**arguments)


def test_volumes_are_refused():
    with pytest.raises(ValueError, match="2 spatial axes; the data have 3"):
        classifier(channels=1, image_classes=1, ndim=3)
