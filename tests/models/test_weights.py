"""Weights from files, whole and of encoders."""

from __future__ import annotations

import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from delineate.models import load_weights
from delineate.models.smp import smp
from delineate.models.unet import unet


def unet_on(encoder: str, channels: int = 3, classes: int = 1, **more: object) -> torch.nn.Module:
    return smp(channels=channels, classes=classes, ndim=2, arch="unet", encoder=encoder, **more)


def encoder_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return model.network.encoder.state_dict()


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "encoder.", "model.network.encoder."])
def test_an_encoder_of_smp_from_a_file(ending, prefix, tmp_path):
    theirs = encoder_of(unet_on("resnet18"))
    file = tmp_path / f"weights{ending}"
    state = {prefix + key: value for key, value in theirs.items()}
    if prefix:
        state[prefix.replace("encoder", "decoder") + "head.weight"] = torch.zeros(1)
    save_file(state, file) if ending == ".safetensors" else torch.save(state, file)
    assert_same(encoder_of(unet_on("resnet18", pretrained=str(file))), theirs)


@pytest.mark.parametrize("name", ["convnext_atto", "tf_mobilenetv3_small_075"])
def test_an_encoder_from_a_file_of_timm_with_its_classifier(name, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(name).eval()
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    model = unet_on(name, pretrained=str(tmp_path / "model.safetensors")).eval()
    pixels = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = model.network.encoder(pixels)[-1], whole.forward_intermediates(pixels)[1][-1]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_the_first_convolution_is_summed_for_one_channel_and_repeated_for_more(name, tmp_path):
    state = encoder_of(unet_on(name))
    save_file(state, tmp_path / "w.safetensors")
    first = next(key for key, value in state.items() if value.ndim == 4)
    grey = encoder_of(unet_on(name, 1, pretrained=str(tmp_path / "w.safetensors")))
    torch.testing.assert_close(grey[first], state[first].sum(1, keepdim=True))
    four = encoder_of(unet_on(name, 4, pretrained=str(tmp_path / "w.safetensors")))
    expected = torch.cat([state[first], state[first][:, :1]], 1) * 3 / 4
    torch.testing.assert_close(four[first], expected)


def test_weights_of_another_encoder_are_refused_with_counts(tmp_path):
    for name in ("resnet34", "resnet18"):
        save_file(encoder_of(unet_on(name)), tmp_path / f"{name}.safetensors")
    with pytest.raises(
        ValueError, match=r"another network: 96 missing \(layer1\.2\.bn1\.bias, .*\.\.\."
    ):
        unet_on("resnet34", pretrained=str(tmp_path / "resnet18.safetensors"))
    with pytest.raises(ValueError, match=r"another network: 96 unexpected \(layer1\.2"):
        unet_on("resnet18", pretrained=str(tmp_path / "resnet34.safetensors"))


def test_sizes_that_differ_are_refused_with_both(tmp_path):
    save_file(encoder_of(unet_on("convnext_femto")), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"of another size .* is \(48,.*\), expected \(40,"):
        unet_on("convnext_atto", pretrained=str(tmp_path / "w.safetensors"))


def test_a_shallower_encoder_takes_its_part(tmp_path):
    theirs = encoder_of(unet_on("convnext_atto"))
    save_file(theirs, tmp_path / "w.safetensors")
    more = {"encoder_depth": 3, "decoder_channels": [32, 16, 8]}
    part = encoder_of(unet_on("convnext_atto", pretrained=str(tmp_path / "w.safetensors"), **more))
    assert_same(part, {key: theirs[key] for key in part})


SMALL = {"ndim": 2, "features": (4, 6)}


@pytest.mark.parametrize("prefix", ["model.", "module."])
def test_a_model_from_a_checkpoint_of_lightning_or_ddp(prefix, tmp_path):
    model, other = unet(channels=1, classes=2, **SMALL), unet(channels=1, classes=2, **SMALL)
    state = {prefix + key: value for key, value in model.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.ckpt")
    load_weights(other, tmp_path / "last.ckpt")
    assert_same(other.state_dict(), model.state_dict())


def test_a_model_that_smp_saved(tmp_path):
    model, other = unet_on("resnet18"), unet_on("resnet18")
    torch.save(model.network.state_dict(), tmp_path / "smp.pth")
    load_weights(other, tmp_path / "smp.pth")
    assert_same(other.state_dict(), model.state_dict())


def test_other_input_channels_are_named(tmp_path):
    save_file(unet(channels=3, classes=2, **SMALL).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="takes 3 input channels, the recipe's images have 1"):
        load_weights(unet(channels=1, classes=2, **SMALL), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"has 2 output .* labels need 1, and .* takes 3 input"):
        load_weights(unet(channels=1, classes=1, **SMALL), tmp_path / "w.safetensors")


def test_another_model_is_refused_with_counts(tmp_path):
    save_file(unet(channels=1, classes=2, **SMALL).state_dict(), tmp_path / "w.safetensors")
    wider = unet(channels=1, classes=2, ndim=2, features=(5, 6, 8))
    with pytest.raises(ValueError, match=r"another network: \d+ missing .*; \d+ of another size"):
        load_weights(wider, tmp_path / "w.safetensors")


def test_files_that_hold_no_weights_are_refused(tmp_path):
    model = unet(channels=1, classes=2, **SMALL)
    with pytest.raises(ValueError, match="no such file"):
        load_weights(model, tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ValueError, match="cannot be read as weights"):
        load_weights(model, tmp_path / "torn.safetensors")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="contains no named weights"):
        load_weights(model, tmp_path / "list.pth")


class Opened:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


def test_code_in_a_file_is_never_run(tmp_path):
    torch.save({"state_dict": Opened()}, tmp_path / "evil.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Opened(), protocol=2))
    for name in ("evil.pth", "bare.pth"):
        with pytest.raises(ValueError, match="code in a file is never run"):
            load_weights(unet(channels=1, classes=2, **SMALL), tmp_path / name)


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_weights_that_are_not_finite_are_refused_by_name(ending, tmp_path):
    model = unet(channels=1, classes=1, ndim=2, features=(4, 8))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    name = next(key for key, value in state.items() if value.ndim == 4)
    state[name].view(-1)[:2] = float("nan")
    file = tmp_path / f"weights{ending}"
    save_file(state, file) if ending == ".safetensors" else torch.save(state, file)
    with pytest.raises(ValueError, match=rf"2 of \d+ values of {name} are NaN or infinite"):
        load_weights(model, file)


def odd(values: object) -> dict[object, object]:
    """A file of a small model whose first weight is odd."""
    state: dict[object, object] = dict(unet(channels=1, classes=2, **SMALL).state_dict())
    first = next(key for key, value in state.items() if value.ndim == 4)
    return state | {first: values(state[first]) if callable(values) else values}


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, of making and saving such tensors
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (lambda w: w.to_sparse(), "is sparse; expected a dense tensor"),
        (lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8), "is quantised"),
        (lambda w: w.to("meta"), "has no values"),
        (lambda w: torch.complex(w, w), "is complex"),
        (torch.tensor(1.0), r"of another size \(.* is \(\), expected \(4,"),
        (torch.zeros(1).expand(10**11), r"of another size \(.* is \(100000000000,\), expected"),
        (torch.zeros(1).expand(10**9, 3, 3, 3), r"of another size|output channels"),
    ],
)
def test_odd_tensors_are_refused_by_name(values, said, tmp_path):
    torch.save(odd(values), tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"w\.pth: .*{said}"):
        load_weights(unet(channels=1, classes=2, **SMALL), tmp_path / "w.pth")


def test_a_huge_tensor_is_not_adapted_to_the_channels_of_the_images(tmp_path):
    state = encoder_of(unet_on("resnet18"))
    state["conv1.weight"] = torch.zeros(1).expand(10**9, 3, 7, 7)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"conv1.weight is \(1000000000, 3, 7, 7\), expected"):
        unet_on("resnet18", 1, pretrained=str(tmp_path / "w.pth"))


def test_weights_with_their_gradients_are_weights(tmp_path):
    model, other = unet(channels=1, classes=2, **SMALL), unet(channels=1, classes=2, **SMALL)
    torch.save(model.state_dict(keep_vars=True), tmp_path / "w.pth")
    load_weights(other, tmp_path / "w.pth")
    assert_same(other.state_dict(), model.state_dict())


def test_odd_names_are_refused_too(tmp_path):
    model = unet(channels=1, classes=2, **SMALL)
    torch.save({0: torch.zeros(1)}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="contains no named weights"):
        load_weights(model, tmp_path / "numbers.pth")
    torch.save({"model." * 2000 + "x": torch.zeros(1)}, tmp_path / "deep.pth")
    with pytest.raises(ValueError, match="weights of another network"):
        load_weights(model, tmp_path / "deep.pth")
