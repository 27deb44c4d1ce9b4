from __future__ import annotations

import socket

import pytest
from huggingface_hub import constants

from delineate.models import _pretrained, load_model
from delineate.models._pretrained import fetching
from delineate.resolve import Call, RecipeError


@pytest.mark.parametrize(
    ("model", "args"),
    [
        ("smp", {"arch": "unet", "encoder": "resnet18"}),
        ("smp", {"arch": "unet", "encoder": "tf_mobilenetv3_small_075"}),
        ("pranet", {"encoder": "res2net50d"}),
        ("emcad", {"encoder": "pvt_v2_b2"}),
    ],
)
def test_without_a_connection_it_fails_at_once_and_says_what_to_do(
    model, args, monkeypatch, tmp_path
):
    def refuse(*_args: object, **_more: object) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    call = Call(model, {**args, "pretrained": "imagenet"}, "r.yaml:7")
    with pytest.raises(RecipeError) as caught:
        load_model(call, 3, {"dense": 1}, 2)
    message = str(caught.value)
    assert message.startswith(
        f"r.yaml:7: imagenet weights of {args['encoder']} are not in the cache"
    )
    assert "Connect once" in message
    assert "pretrained: path/to/file.safetensors" in message
    assert "pretrained: null" in message


def test_a_model_whose_weights_are_to_be_loaded_fetches_none(monkeypatch):
    monkeypatch.setattr(_pretrained, "_reachable", pytest.fail)
    args = {"arch": "unet", "encoder": "resnet18", "pretrained": "imagenet"}
    load_model(Call("smp", args), 1, {"dense": 1}, 2, pretrained=False)


@pytest.mark.parametrize("start", ["pretrained", "weights"])
@pytest.mark.parametrize("model", ["pranet", "emcad"])
def test_nor_does_it_read_a_file_that_its_recipe_names(model, start):
    call = Call(model, {"encoder": "mobilenetv3_small_050", start: "gone.pth"}, "r.yaml:7")
    load_model(call, 1, {"dense": 1}, 2, pretrained=False)
    with pytest.raises(RecipeError, match="r.yaml:7: gone.pth: no such file"):
        load_model(call, 1, {"dense": 1}, 2)


@pytest.mark.parametrize("connected", [True, False])
def test_the_cache_alone_is_asked_where_there_is_no_connection(connected, monkeypatch):
    before = constants.HF_HUB_OFFLINE
    monkeypatch.setattr(_pretrained, "_reachable", lambda *_: connected)
    with fetching("weights"):
        assert (before or not connected) == constants.HF_HUB_OFFLINE
    assert before == constants.HF_HUB_OFFLINE


def test_the_way_out_may_be_a_proxy(monkeypatch):
    asked = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        return socket.socket()

    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "create_connection", connect)
    assert _pretrained._reachable("https://hub.invalid", 1)
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert _pretrained._reachable("https://hub.invalid", 1)
    assert asked == [("hub.invalid", 443), ("proxy.invalid", 3128)]
