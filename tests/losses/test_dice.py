from __future__ import annotations

import math

import pytest
import segmentation_models_pytorch
import torch
from monai.losses import DiceLoss

from delineate.core import Output, Target
from delineate.losses.dice import dice

SMP = {"smooth": 0.0, "background": True, "absent": "zero"}


def far(mask: list[list[int]]) -> torch.Tensor:
    """Logits so far from zero that their probabilities are 0 and 1."""
    return 100.0 * (2 * torch.tensor(mask)[None, None] - 1)


def test_counts_of_a_drawing():
    prediction = far([[1, 1, 0], [1, 0, 0]])
    truth = torch.tensor([[[1, 0, 0], [1, 1, 0]]])
    assert dice(Output(prediction), Target(truth), smooth=0).item() == pytest.approx(1 - 4 / 6)
    assert dice(Output(prediction), Target(truth), smooth=1).item() == pytest.approx(1 - 5 / 7)


@pytest.mark.parametrize("shape", [(9, 8), (3, 4, 5)])
def test_agrees_with_smp_on_several_classes(shape):
    torch.manual_seed(0)
    logits, classes = torch.randn(3, 5, *shape), torch.randint(4, (3, *shape))  # class 4 is absent
    theirs = segmentation_models_pytorch.losses.DiceLoss("multiclass")(logits, classes)
    torch.testing.assert_close(dice(Output(logits), Target(classes), **SMP), theirs)


def test_agrees_with_smp_on_one_class():
    torch.manual_seed(0)
    logits, classes = torch.randn(3, 1, 9, 8), torch.randint(2, (3, 9, 8))
    theirs = segmentation_models_pytorch.losses.DiceLoss("binary")(logits, classes)
    torch.testing.assert_close(dice(Output(logits), Target(classes), **SMP), theirs)


@pytest.mark.parametrize("per", ["batch", "image"])
@pytest.mark.parametrize("classes", [1, 4])
def test_agrees_with_monai_on_squared_denominators(per, classes):
    torch.manual_seed(0)
    logits, truth = torch.randn(3, classes, 9, 8), torch.randint(max(2, classes), (3, 9, 8))
    theirs = DiceLoss(
        sigmoid=classes == 1, softmax=classes > 1, to_onehot_y=classes > 1, squared_pred=True,
        batch=per == "batch", smooth_nr=0.5, smooth_dr=0.5,
    )(logits, truth[:, None].float())  # fmt: skip
    ours = dice(Output(logits), Target(truth), squared=True, background=True, smooth=0.5, per=per)
    torch.testing.assert_close(ours, theirs)


def test_uniform_logits_with_four_of_six_classes_absent():
    classes = (torch.arange(64).reshape(1, 8, 8) % 4 == 0).long()  # a quarter of the pixels is 1
    loss = dice(Output(torch.zeros(1, 6, 8, 8)), Target(classes), **SMP)
    assert loss.item() == pytest.approx(0.2545, abs=1e-4)


def test_per_image_is_the_mean_of_images_and_per_batch_is_not():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 6, 6)
    classes = torch.randint(4, (3, 6, 6)) * torch.tensor([0, 1, 1])[:, None, None]
    each = [dice(Output(logits[i : i + 1]), Target(classes[i : i + 1])) for i in range(3)]
    together = dice(Output(logits), Target(classes), per="image")
    torch.testing.assert_close(together, torch.stack(each).mean())
    assert not math.isclose(dice(Output(logits), Target(classes)), together, rel_tol=1e-3)


def test_absent_counts_so_that_finding_costs():
    nothing = Target(torch.zeros(1, 4, 4, dtype=torch.long))
    assert dice(Output(torch.full((1, 1, 4, 4), 50.0)), nothing).item() == pytest.approx(1 - 1 / 17)
    assert dice(Output(torch.full((1, 1, 4, 4), -50.0)), nothing).item() == pytest.approx(0)
    assert dice(Output(torch.full((1, 1, 4, 4), 50.0)), nothing, **SMP).item() == 0


def test_background_is_left_out_unless_asked_for():
    torch.manual_seed(0)
    logits, classes = torch.randn(1, 2, 5, 5), torch.randint(2, (1, 5, 5))
    label = dice(Output(logits[:, 1:] - logits[:, :1]), Target(classes))
    torch.testing.assert_close(dice(Output(logits), Target(classes)), label)
    assert dice(Output(logits), Target(classes), background=True) != label


def test_a_batch_is_that_of_all_devices(monkeypatch):
    """Two devices with half of the batch each learn what one device learns from the whole."""
    torch.manual_seed(0)
    logits, classes = torch.randn(4, 3, 6, 6, requires_grad=True), torch.randint(3, (4, 6, 6))
    whole = dice(Output(logits), Target(classes))
    (slope,) = torch.autograd.grad(whole, logits)

    sums: list[torch.Tensor] = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda mine: sums.append(mine.clone()))
    halves = [logits[:2].detach().requires_grad_(), logits[2:].detach().requires_grad_()]
    for half, there in zip(halves, classes.split(2), strict=True):
        dice(Output(half), Target(there))
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda mine: mine.copy_(sums[0] + sums[1]))
    for half, there, expected in zip(halves, classes.split(2), slope.split(2), strict=True):
        loss = dice(Output(half), Target(there))
        torch.testing.assert_close(loss, whole)
        loss.backward()
        torch.testing.assert_close(half.grad / 2, expected)  # the mean over devices
