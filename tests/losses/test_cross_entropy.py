from __future__ import annotations

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
