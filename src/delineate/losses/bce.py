"""Binary cross-entropy."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import Positive
from delineate.core.output import Output, Target
from delineate.losses._terms import Per, mean, read


def bce(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    pos_weight: Positive = 1.0,
    per: Per = "batch",
) -> Tensor:
    """Binary cross-entropy of each channel against the rest, averaged over pixels and channels, or over images.

    Args:
        output: logits; sigmoid of each channel, including the background's if it has one.
        target: the truth.
        pos_weight: weight of positive pixels, as in PyTorch; above 1 raises recall and lowers precision.
        per: "batch" averages over the valid samples of all images of a batch together; "image" averages over those of
            each image, then over images. The two differ only where samples are ignored or labels unknown.
    """
    pair = read(output, target)
    each = F.softplus(pair.one_vs_rest())
    return mean(each, pair.valid, per) + (pos_weight - 1) * pair.mean_at_truth(each, per)
