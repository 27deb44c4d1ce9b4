from __future__ import annotations

import pytest
import torch

from delineate.core import Output, Target
from delineate.losses import load_loss
from delineate.losses._deep_supervision import all_subsets
from delineate.losses.dice import dice
from delineate.losses.focal import focal
from delineate.resolve import OWN, Call, RecipeError

TARGET = Target(torch.arange(64).reshape(1, 8, 8) % 3)


def logits(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(1, 3, *shape)


def test_weights_are_the_sums_and_the_rest_is_the_losses():
    output = Output(logits(8, 8))
    loss = load_loss([Call("dice", {"weight": 0.5, "smooth": 0.1}), Call("focal", {"weight": 3})])
    expected = 0.5 * dice(output, TARGET, smooth=0.1) + 3 * focal(output, TARGET)
    torch.testing.assert_close(loss(output, TARGET), expected)


def test_deeper_maps_weigh_half_as_much_each():
    whole, half, quarter = logits(8, 8), logits(4, 4), logits(2, 2)
    loss = load_loss([Call("dice")])
    levels = [
        dice(Output(whole), TARGET),
        dice(Output(half), Target(TARGET.classes[:, 1::2, 1::2])),
        dice(Output(quarter), Target(TARGET.classes[:, 2::4, 2::4])),
    ]
    expected = (levels[0] + levels[1] / 2 + levels[2] / 4) / 1.75
    torch.testing.assert_close(loss(Output(whole, (half, quarter)), TARGET), expected)


def test_equal_levels_are_summed():
    whole, half = logits(8, 8), logits(4, 4)
    loss = load_loss([Call("dice")], Call("equal"))
    expected = dice(Output(whole), TARGET) + dice(
        Output(half), Target(TARGET.classes[:, 1::2, 1::2])
    )
    torch.testing.assert_close(loss(Output(whole, (half,)), TARGET), expected)


def maps_of_emcad():
    """The maps and the truth of the reference values: 2 sin(0.7 n + i) for p4 to p1."""
    n = torch.arange(2 * 3 * 16 * 16, dtype=torch.float64).reshape(2, 3, 16, 16)
    p4, p3, p2, p1 = (2 * torch.sin(0.7 * n + i) for i in range(4))
    target = Target(((7 * torch.arange(2 * 16 * 16)) // 5 % 3).reshape(2, 16, 16))
    return Output(p1, (p2, p3, p4)), target


EMCAD = [
    Call("cross_entropy", {"weight": 0.3}),
    Call("dice", {"weight": 0.7, "squared": True, "smooth": 1e-5, "background": True}),
]
"""The loss of EMCAD for several labels."""


@pytest.mark.parametrize(
    ("way", "value"), [("none", 0.9420374766), ("equal", 3.7726788665), ("all_subsets", 16.0697503875)]
)  # fmt: skip
def test_reference_values_of_emcad(way, value):
    """The last map alone, the sum over four maps, and the sum over their 15 subsets (MUTATION)."""
    output, target = maps_of_emcad()
    assert float(load_loss(EMCAD, Call(way))(output, target)) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "value"), [(EMCAD[0], 0.3 * 1.7879733128), (EMCAD[1], 0.7 * 0.5794935468)]
)
def test_reference_values_of_the_terms_of_emcad(call, value):
    output, target = maps_of_emcad()
    assert float(load_loss([call])(Output(output.logits), target)) == pytest.approx(value, abs=1e-9)


def test_every_subset_is_there_once():
    maps = [torch.full((1, 1, 4, 4), float(2**i)) for i in range(4)]
    parts = all_subsets(Output(maps[0], tuple(maps[1:])))
    assert sorted(int(part.logits[0, 0, 0, 0]) for _, part in parts) == list(range(1, 16))
    assert {weight for weight, _ in parts} == {1.0}


def test_the_sums_of_maps_of_half_precision_are_float32():
    maps = [torch.full((1, 1, 4, 4), x, dtype=torch.bfloat16) for x in (256.0, 1.0, 1.0, 1.0)]
    *_, everything = all_subsets(Output(maps[0], tuple(maps[1:])))
    assert everything[1].logits.unique().item() == 259  # 256 + 1 is 256 in bfloat16
    assert everything[1].logits.dtype == torch.float32


def test_without_deep_supervision_a_loss_sees_the_deeper_maps(tmp_path, monkeypatch):
    (tmp_path / "lab_with_sides.py").write_text(
        "def last(output, target):\n    return output.sides[-1].mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    output = Output(logits(8, 8), (logits(4, 4),))
    loss = load_loss([Call("lab_with_sides:last", trust=OWN)], Call("none"))
    torch.testing.assert_close(loss(output, TARGET), output.sides[0].mean())


def test_deeper_maps_know_what_is_not_valid():
    valid = torch.zeros(1, 8, 8, dtype=torch.bool)
    valid[:, :4] = True
    side = logits(4, 4).requires_grad_()
    loss = load_loss([Call("cross_entropy")])
    loss(Output(logits(8, 8), (side,)), Target(TARGET.classes, valid)).backward()
    assert (side.grad[:, :, 2:] == 0).all()
    assert (side.grad[:, :, :2] != 0).all()


def test_a_loss_of_ones_own_by_dotted_name(tmp_path, monkeypatch):
    (tmp_path / "lab_of_mine.py").write_text(
        "def tall(output, target, *, scale: float = 1.0):\n    return scale * output.logits.mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    output = Output(logits(8, 8))
    loss = load_loss([Call("lab_of_mine:tall", {"scale": 2, "weight": 4}, trust=OWN)])
    torch.testing.assert_close(loss(output, TARGET), 8 * output.logits.mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Call("dise", where="r.yaml:3"), "r.yaml:3: no 'dise' in losses; did you mean 'dice'"),
        (Call("dice", {"smoth": 1}), "takes no argument 'smoth'; did you mean 'smooth'"),
        (Call("dice", {"per": "pixel"}), "per is 'pixel'; expected one of 'batch', 'image'"),
        (Call("dice", {"weight": "much"}), "weight is 'much'; expected a number above 0"),
        (Call("dice", {"weight": -1}), "weight is -1; expected a number above 0"),
    ],
)
def test_what_is_not_so_is_refused(call, message):
    with pytest.raises(RecipeError, match=message):
        load_loss([call])


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="list of losses is empty"):
        load_loss([])


@pytest.mark.parametrize("way", ["halving", "equal", "all_subsets", "none"])
def test_a_loss_of_another_head_counts_once_whatever_the_levels(way, tmp_path, monkeypatch):
    """One that reads the image-level head alone is not multiplied; one that reads both heads is, as its maps are."""
    (tmp_path / "lab_of_heads.py").write_text(
        "def image(output, target):\n    return output.image_logits.square().mean()\n"
        "def both(output, target):\n    return output.logits.mean() * 0 + output.image_logits.square().mean()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    about = torch.tensor([[2.0, 4.0]])
    output = Output(logits(8, 8), (logits(4, 4), logits(2, 2)), about, losses={"own": torch.tensor(3.0)})  # fmt: skip

    def found(*names: str) -> float:
        calls = [Call(name, trust=OWN) for name in names]
        return float(load_loss(calls, Call(way))(output, TARGET))

    dense = found("cross_entropy")
    assert found("lab_of_heads:image") == pytest.approx(10)
    assert found("model_losses") == pytest.approx(3)
    assert found("cross_entropy", "lab_of_heads:image", "model_losses") == pytest.approx(dense + 13)
    levels = {"halving": 1, "equal": 3, "all_subsets": 7, "none": 1}[way]
    assert found("lab_of_heads:both") == pytest.approx(10 * levels)


def test_subsets_of_half_precision_are_summed_in_float32():
    torch.manual_seed(0)
    maps = [torch.randn(1, 3, 8, 8).bfloat16() for _ in range(4)]
    loss = load_loss([Call("cross_entropy")], Call("all_subsets"))
    half, full = (
        loss(Output(first, tuple(rest)), TARGET)
        for first, *rest in (maps, [each.float() for each in maps])
    )
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0, atol=0)
