from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from delineate.core import Output, Target
from delineate.losses.cross_entropy import cross_entropy


@pytest.mark.parametrize("weights", [None, (0.1, 1.0, 3.0)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("masked", [False, True])
def test_agrees_with_torch(weights, smoothing, masked):
    torch.manual_seed(0)
    logits, classes = torch.randn(2, 3, 5, 6), torch.randint(3, (2, 5, 6))
    valid = torch.rand(2, 5, 6) < 0.7 if masked else None
    theirs = F.cross_entropy(
        logits,
        classes if valid is None else classes.masked_fill(~valid, -100),
        None if weights is None else torch.tensor(weights),
        label_smoothing=smoothing,
    )
    ours = cross_entropy(
        Output(logits), Target(classes, valid), class_weights=weights, label_smoothing=smoothing
    )
    torch.testing.assert_close(ours, theirs)


def test_one_channel_is_a_label_against_background():
    torch.manual_seed(0)
    logits, classes = torch.randn(2, 1, 5, 6), torch.randint(2, (2, 5, 6))
    theirs = F.binary_cross_entropy_with_logits(logits[:, 0], classes.float())
    torch.testing.assert_close(cross_entropy(Output(logits), Target(classes)), theirs)


def test_a_wrong_number_of_weights_is_refused():
    output, target = Output(torch.zeros(1, 3, 2, 2)), Target(torch.zeros(1, 2, 2).long())
    with pytest.raises(ValueError, match="2 class_weights for 3 classes"):
        cross_entropy(output, target, class_weights=(1.0, 2.0))


@pytest.mark.parametrize("top", [0.25, 0.5, 1e-9, 0.999])
@pytest.mark.parametrize("masked", [False, True])
def test_top_is_the_mean_of_the_largest_losses(top, masked):
    torch.manual_seed(0)
    logits, classes = torch.randn(3, 4, 9, 10), torch.randint(4, (3, 9, 10))
    valid = torch.rand(3, 9, 10) < 0.7 if masked else torch.ones(3, 9, 10, dtype=torch.bool)
    each = F.cross_entropy(logits, classes, reduction="none")

    def largest(losses):
        losses = sorted(losses.tolist(), reverse=True)
        chosen = losses[: math.ceil(top * len(losses))]
        return sum(chosen) / len(chosen)

    target = Target(classes, valid if masked else None)
    whole = cross_entropy(Output(logits), target, top=top)
    assert whole.item() == pytest.approx(largest(each[valid]), rel=1e-5)
    images = [largest(each[i][valid[i]]) for i in range(3)]
    by_image = cross_entropy(Output(logits), target, top=top, per="image")
    assert by_image.item() == pytest.approx(sum(images) / 3, rel=1e-5)


def test_top_has_the_reference_value_of_efficientps():
    """It counts 32 ignored samples of 512 as well: 128 samples are a quarter of 512."""
    n = torch.arange(2 * 3 * 16 * 16, dtype=torch.float64).reshape(2, 3, 16, 16)
    classes = ((7 * torch.arange(2 * 16 * 16)) // 5 % 3).reshape(2, 16, 16)
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[0, :2] = False
    output, target = Output(2 * torch.sin(0.7 * n + 3)), Target(classes, valid)
    assert float(cross_entropy(output, target)) == pytest.approx(1.8045611024, abs=1e-9)
    found = cross_entropy(output, target, top=127.5 / 480)
    assert float(found) == pytest.approx(3.8637423248, abs=1e-9)


@pytest.mark.parametrize("per", ["batch", "image"])
def test_top_learns_from_valid_samples_only(per):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 6, 7, requires_grad=True)
    valid = torch.rand(2, 6, 7) < 0.3
    valid[1] = False
    target = Target(torch.randint(3, (2, 6, 7)), valid)
    cross_entropy(Output(logits), target, top=0.5, per=per).backward()
    learnt = logits.grad.abs().sum(1) > 0
    assert not (learnt & ~valid).any()
    assert learnt.sum() == math.ceil(0.5 * valid.sum())


def test_top_with_weights_is_refused():
    output, target = Output(torch.zeros(1, 3, 2, 2)), Target(torch.zeros(1, 2, 2).long())
    with pytest.raises(ValueError, match="class_weights and top are both given"):
        cross_entropy(output, target, class_weights=(1.0, 2.0, 1.0), top=0.5)
