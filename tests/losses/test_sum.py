from __future__ import annotations

import pytest
import torch

from delineate.core import Output, Target
from delineate.losses import load_loss
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
