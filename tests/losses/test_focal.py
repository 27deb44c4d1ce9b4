from __future__ import annotations

import math

import pytest
import segmentation_models_pytorch
import torch
from torchvision.ops import sigmoid_focal_loss

from delineate.core import Output, Target
from delineate.losses.focal import focal


def example(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(channels)
    return 2 * torch.randn(2, channels, 6, 7), torch.randint(max(2, channels), (2, 6, 7))


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [0.25, 0.75])
def test_agrees_with_torchvision_on_one_class(form, gamma, alpha):
    logits, classes = example(1)
    theirs = sigmoid_focal_loss(
        logits[:, 0], classes.float(), alpha=alpha, gamma=gamma, reduction="mean"
    )
    ours = focal(Output(logits), Target(classes), form=form, alpha=alpha, gamma=gamma)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("alpha", [None, 0.75])
def test_agrees_with_smp_on_several_classes(alpha):
    logits, classes = example(5)
    theirs = segmentation_models_pytorch.losses.FocalLoss("multiclass", alpha=alpha, gamma=1.5)
    ours = focal(Output(logits), Target(classes), form="sigmoid", alpha=alpha, gamma=1.5)
    torch.testing.assert_close(ours, theirs(logits, classes))


def test_eight_pixels_by_hand():
    logits = torch.tensor([2 * math.sin(0.9 * n) for n in range(8)]).reshape(1, 1, 2, 4)
    classes = torch.tensor([1, 0, 0, 1, 1, 0, 0, 0]).reshape(1, 2, 4)
    loss = focal(Output(logits), Target(classes), alpha=0.75)
    assert loss.item() == pytest.approx(0.17037181674, abs=1e-7)


@pytest.mark.parametrize(("form", "expected"), [("sigmoid", 0.1733), ("softmax", 1.2443)])
def test_uniform_logits_over_six_classes(form, expected):
    loss = focal(Output(torch.zeros(1, 6, 4, 4)), Target(torch.ones(1, 4, 4).long()), form=form)
    assert loss.item() == pytest.approx(expected, abs=1e-4)


def test_without_gamma_it_is_cross_entropy():
    logits, classes = example(5)
    theirs = torch.nn.functional.cross_entropy(logits, classes)
    torch.testing.assert_close(focal(Output(logits), Target(classes), gamma=0), theirs)


def test_softmax_alpha_weighs_labels_against_background():
    logits, classes = example(3)
    parts = {
        truth: focal(Output(logits), Target(classes, (classes > 0) == truth), alpha=0.9)
        / focal(Output(logits), Target(classes, (classes > 0) == truth))
        for truth in (False, True)
    }
    assert parts[False].item() == pytest.approx(0.1, rel=1e-4)
    assert parts[True].item() == pytest.approx(0.9, rel=1e-4)
