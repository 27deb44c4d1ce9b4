"""PraNet and EMCAD against values of the official networks, with weights and an image made from sines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from delineate.core import Output
from delineate.models.emcad import emcad
from delineate.models.pranet import pranet

Point = tuple[int, int, int]


@dataclass(frozen=True)
class Official:
    """Facts of an official network.

    make: builds ours with the classes of the reference.
    keys: how many weights the official file has, and the SHA-256 of the sorted lines "key shape dtype", for 1 class.
    unused: the shapes of weights in the official file that ours does not have.
    gain, size: of the weights and of the image.
    points, values: of each map, finest first: mean, standard deviation, least, most, and the values at four points.
    """

    make: Callable[..., torch.nn.Module]
    keys: tuple[int, str]
    unused: Mapping[str, tuple[int, ...]]
    gain: float
    classes: int
    size: int
    points: tuple[Point, ...]
    values: tuple[tuple[float, ...], ...]
    options: Mapping[str, Any]


EMCAD_KEYS = 563, "5a0994a540bf6542210289bb0b3fd99a58bf258a06cdd6b95abcaeff31dbe3a3"
STEM = {
    "conv.0.weight": (3, 1, 1, 1), "conv.0.bias": (3,), "conv.1.weight": (3,), "conv.1.bias": (3,),
    "conv.1.running_mean": (3,), "conv.1.running_var": (3,), "conv.1.num_batches_tracked": (),
}  # fmt: skip
OFFICIAL = {
    "pranet": Official(
        pranet,
        (922, "71fc6a7e11792bbe53af4abefcb1ab79be64d1c706f83a4b8c5383aedb4c0d4f"),
        {"resnet.fc.weight": (1000, 2048), "resnet.fc.bias": (1000,)},
        0.75,
        1,
        352,
        ((0, 0, 0), (0, 176, 176), (0, 351, 351), (0, 88, 117)),
        (
            (-0.5262061628836876, 0.5469906708756538, -4.244909517049639, 0.4538477904193527,
             -1.9516134967086853, -0.5327539013438686, -0.1079156724892959, -0.48570159896204956),
            (-0.518537319319542, 0.42860688571632927, -2.662509447482052, 0.57524675234328,
             -1.3097308146480313, -0.5505953305106143, -0.4200122467380475, -0.4958182996993186),
            (-0.47450691284657276, 0.22568324651936972, -0.7029915847118227, 0.7090829191336715,
             -0.550524423049767, -0.5161723097731303, -0.5936290188061554, -0.523885034725508),
            (-0.37702753412155315, 0.25262910863032634, -0.7790451875516612, 2.0331019439828624,
             -0.3636431917049831, -0.426604510057577, -0.5080595605738871, -0.4321393741302796),
        ),
        {},
    ),
    "emcad relu6": Official(
        emcad,
        EMCAD_KEYS,
        STEM,
        2.0,
        3,
        224,
        ((0, 0, 0), (0, 112, 112), (0, 223, 223), (2, 56, 74)),
        (
            (0.44500791363420333, 0.6628441145681776, -0.7033384599357192, 1.6822045280224502,
             1.0241624399933098, 1.3235014595471974, 1.0168864153856012, -0.4532962216044349),
            (-0.16189269571305093, 0.37972544252255097, -1.2270402140516399, 0.711315107755601,
             -0.41718273396073996, 0.1266952049145704, -0.402308232200118, -0.06154016748462535),
            (-0.1132398949804583, 1.8505814444822053, -3.5552366738408545, 2.0916822444171057,
             -2.637282890348699, -2.6994618149345926, -2.424302838213691, 1.040096564093409),
            (2.729385630350349, 0.858301407434067, 0.6248062856334389, 4.437432833126498,
             0.7136994379644548, 3.161369394447921, 0.9239323044179726, 3.3387389010707875),
        ),
        {"activation": "relu6"},
    ),
    "emcad relu": Official(
        emcad,
        EMCAD_KEYS,
        STEM,
        2.0,
        3,
        224,
        ((0, 0, 0), (0, 112, 112), (0, 223, 223), (2, 56, 74)),
        (
            (0.41839009678132544, 0.6757954404834402, -0.7188339722111698, 1.6514229946436796,
             0.9939121159871362, 1.2881802303360492, 1.0050791260971061, -0.4908764611306046),
            (-0.1668925842837654, 0.38614860190464556, -1.2317764572606618, 0.7282179813828041,
             -0.4111343686316625, 0.09232747814168225, -0.3963148669360642, -0.015032353797573283),
            (-0.11340330125988006, 1.8587800585129133, -3.432510153642529, 1.9659001772556712,
             -2.5961199522027374, -2.7224229961644797, -2.432271512811205, 1.1123474231608603),
            (2.709725869719445, 0.8407271652906702, 0.6248062856334389, 4.3423631202864,
             0.7136994379644548, 3.146278625511773, 0.9239323044179726, 3.3083982127479272),
        ),
        {"activation": "relu"},
    ),
}  # fmt: skip
networks = pytest.mark.parametrize("network", OFFICIAL.values(), ids=OFFICIAL.keys())


def official_state(network: Official, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights that an official file would have, made from sines; the counts of batches are zero."""
    with torch.device("meta"):
        unused = {key: torch.empty(shape) for key, shape in network.unused.items()}
    state = {**model.state_dict(), **unused}
    made = {}
    for j, key in enumerate(sorted(state)):
        value = state[key]
        if key.endswith("num_batches_tracked"):
            made[key] = torch.zeros((), dtype=torch.int64)
            continue
        t = torch.sin(0.7 * torch.arange(value.numel(), dtype=torch.float64) + 1.3 * j)
        if key.endswith("running_var"):
            t = 1 + 0.2 * t.abs()
        elif value.ndim == 1:
            t = 1 + 0.1 * t if key.endswith(".weight") else 0.05 * t
        else:
            t = network.gain * t * (2 / value[0].numel()) ** 0.5
        made[key] = t.reshape(value.shape).float()
    return made


def waves(size: int) -> torch.Tensor:
    axes = (torch.arange(n, dtype=torch.float64) for n in (3, size, size))
    k, y, x = torch.meshgrid(*axes, indexing="ij")
    image = torch.sin(0.05 * (k + 1) * y + 0.03 * x + k)
    image += 0.5 * torch.cos(0.11 * x - 0.02 * (k + 1) * y)
    return image.float().double()[None]


@networks
def test_weights_have_the_official_names_and_shapes(network):
    with torch.device("meta"):
        model = network.make(**network.options)
    shapes = {key: (tuple(v.shape), v.dtype) for key, v in model.state_dict().items()}
    assert not shapes.keys() & network.unused.keys()
    for key, shape in network.unused.items():
        shapes[key] = shape, torch.int64 if key.endswith("tracked") else torch.float32
    lines = sorted(
        f"{key} {shape} {str(dtype).removeprefix('torch.')}"
        for key, (shape, dtype) in shapes.items()
    )
    assert (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()) == network.keys


@networks
def test_all_four_maps_have_the_official_values(network, tmp_path):
    """Loaded from a file as the official one is: with all its weights, and a prefix of data-parallel training."""
    state = official_state(network, network.make(classes=network.classes, **network.options))
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "official.pth")
    weights = str(tmp_path / "official.pth")
    model = network.make(classes=network.classes, weights=weights, **network.options)
    with torch.no_grad():
        output = model.double().eval()(waves(network.size))
    assert isinstance(output, Output)
    for map_, values in zip((output.logits, *output.sides), network.values, strict=True):
        assert map_.shape == (1, network.classes, network.size, network.size)
        spread = map_.mean(), map_.std(correction=0), map_.min(), map_.max()
        found = [float(v) for v in (*spread, *(map_[0][point] for point in network.points))]
        assert found == pytest.approx(values, rel=1e-8, abs=0)


@pytest.mark.parametrize(
    ("model", "arguments", "parts"),
    [
        (pranet, {}, {"": 30_498_319, "rfb2_1": 178_112, "rfb3_1": 260_032, "rfb4_1": 423_872, "agg1": 277_473}),
        (
            emcad,
            {},
            {
                "": 26_764_411 - 12, "backbone": 24_849_856, "decoder": 1_913_515, "decoder.mscb4": 1_093_632,
                "decoder.eucb3": 169_792, "decoder.lgag3": 6_883, "decoder.mscb3": 437_760, "decoder.eucb2": 44_608,
                "decoder.lgag2": 2_755, "decoder.mscb2": 76_800, "decoder.eucb1": 9_664, "decoder.lgag1": 1_379,
                "decoder.mscb1": 22_016, "decoder.cab4": 32_768, "decoder.cab3": 12_800, "decoder.cab2": 2_048,
                "decoder.cab1": 512, "decoder.sab": 98,
            },
        ),
        (emcad, {"classes": 9}, {"": 26_772_635 - 12}),
        (emcad, {"channels": 1}, {"conv": 12}),
        (emcad, {"encoder": "pvt_v2_b0"}, {"": 3_916_795 - 12, "decoder": 506_507}),
    ],
)  # fmt: skip
def test_numbers_of_parameters(model, arguments, parts):
    with torch.device("meta"):
        network = model(**arguments)
    assert {
        part: sum(p.numel() for p in network.get_submodule(part).parameters()) for part in parts
    } == parts
