from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from delineate.core import Output, Target
from delineate.losses.bce import bce


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("pos_weight", [0.5, 1.0, 4.0])
def test_agrees_with_torch(channels, pos_weight):
    torch.manual_seed(0)
    logits, classes = torch.randn(2, channels, 5, 6), torch.randint(max(2, channels), (2, 5, 6))
    wanted = classes[:, None] if channels == 1 else F.one_hot(classes, channels).movedim(-1, 1)
    theirs = F.binary_cross_entropy_with_logits(
        logits, wanted.float(), pos_weight=torch.tensor(pos_weight)
    )
    ours = bce(Output(logits), Target(classes), pos_weight=pos_weight)
    torch.testing.assert_close(ours, theirs)
