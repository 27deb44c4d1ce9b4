from __future__ import annotations

import pytest
import segmentation_models_pytorch
import torch

from delineate.core import Output, Target
from delineate.losses.dice import dice
from delineate.losses.tversky import tversky


def test_counts_of_a_drawing():
    prediction = 100.0 * (2 * torch.tensor([[[[1, 1, 0], [1, 0, 0]]]]) - 1)
    truth = torch.tensor([[[1, 0, 0], [1, 1, 1]]])  # 2 in common, 1 in error, 2 missed
    loss = tversky(Output(prediction), Target(truth), alpha=0.3, beta=0.7, smooth=0)
    assert loss.item() == pytest.approx(1 - 2 / (2 + 0.3 * 1 + 0.7 * 2))
    focal = tversky(Output(prediction), Target(truth), alpha=0.3, beta=0.7, smooth=0, gamma=0.75)
    assert focal.item() == pytest.approx((1 - 2 / 3.7) ** 0.75)


@pytest.mark.parametrize("per", ["batch", "image"])
def test_even_weights_are_dice(per):
    torch.manual_seed(0)
    output, target = Output(torch.randn(3, 4, 6, 6)), Target(torch.randint(4, (3, 6, 6)))
    even = tversky(output, target, alpha=0.5, beta=0.5, smooth=0.5, per=per)
    torch.testing.assert_close(even, dice(output, target, smooth=1, per=per))


def test_agrees_with_smp():
    torch.manual_seed(0)
    logits, classes = torch.randn(2, 4, 6, 6), torch.randint(4, (2, 6, 6))
    theirs = segmentation_models_pytorch.losses.TverskyLoss("multiclass", alpha=0.2, beta=0.8)
    ours = tversky(Output(logits), Target(classes), alpha=0.2, beta=0.8, smooth=0, background=True)
    torch.testing.assert_close(ours, theirs(logits, classes))


def test_focal_has_a_slope_where_all_is_right():
    logits = torch.full((1, 1, 4, 4), 200.0, requires_grad=True)
    tversky(Output(logits), Target(torch.ones(1, 4, 4).long()), gamma=0.75).backward()
    assert logits.grad.isfinite().all()
