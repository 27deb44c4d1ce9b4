"""Cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from delineate.arguments import Fraction, FractionAboveZero, NonNegative
from delineate.core.output import Output, Target
from delineate.losses._terms import Per, mean, mean_of_largest, ratio, read, with_background


def cross_entropy(
    output: Output[Tensor],
    target: Target[Tensor],
    *,
    class_weights: tuple[NonNegative, ...] | None = None,
    label_smoothing: Fraction = 0.0,
    top: FractionAboveZero = 1.0,
    per: Per = "batch",
) -> Tensor:
    """Softmax cross-entropy, averaged over pixels.

    Args:
        output: logits; one channel is one label against background.
        target: the truth.
        class_weights: one for background, then one per label in order; the mean is weighted by them.
        label_smoothing: as in PyTorch: share of the truth that is spread evenly over the classes, in [0, 1].
        top: share of the valid samples, those with the largest loss, that the mean is over (online hard example
            mining); 0.25 in EfficientPS (Mohan and Valada, IJCV 2021, section 3.3). Rare labels, which are learnt late,
            get more of the gradient. The share is of the batch of each device, or of each image. Excludes
            class_weights.
        per: "batch" averages over the valid samples of all images of a batch together; "image" averages over those of
            each image, then over images. The two differ only where samples are ignored, with class_weights or with top.
    """
    pair = read(output, target)
    classes, valid = pair.exclusive(), pair.valid
    logits = with_background(pair.logits)
    weights = None
    if class_weights is not None:
        if top < 1:
            raise ValueError(
                "cross_entropy: class_weights and top are both given; expected one, since weights change which losses "
                "are largest."
            )
        if len(class_weights) != logits.shape[1]:
            raise ValueError(
                f"cross_entropy: {len(class_weights)} class_weights for {logits.shape[1]} classes; "
                "expected one for background, then one per label."
            )
        weights = logits.new_tensor(class_weights)
    loss = F.cross_entropy(
        logits, classes, weights, reduction="none", label_smoothing=label_smoothing
    )
    if top < 1:
        return mean_of_largest(loss, valid, top, per)
    if weights is None:
        return mean(loss, valid, per)
    total = weights[classes] if valid is None else weights[classes] * valid
    masked = loss if valid is None else loss * valid
    return ratio(masked, total, per, least=torch.finfo(total.dtype).tiny)
