"""What the losses are made of; none of it expands the truth to one map per class."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch import distributed as dist

from delineate.core.output import Output, Target

Per = Literal["batch", "image"]


def read(output: Output[Tensor], target: Target[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits (batch, channel, *spatial) float32, classes (batch, *spatial) int64, valid float32 or None."""
    logits, classes = output.logits, target.classes
    if logits.shape[:1] + logits.shape[2:] != classes.shape:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}, the classes {tuple(classes.shape)}; "
            "expected (batch, channel, *spatial) and (batch, *spatial)."
        )
    valid = None if target.valid is None else target.valid.float()
    return logits.float(), classes.long(), valid


def at_truth(values: Tensor, classes: Tensor) -> Tensor:
    """Of `values` (batch, channel, *spatial) those of the true channel: (batch, *spatial).

    One channel has no background: where that is the truth, the answer is 0.
    """
    if values.shape[1] == 1:
        return values[:, 0] * classes
    return values.gather(1, classes[:, None])[:, 0]


def one_vs_rest(logits: Tensor, classes: Tensor) -> Tensor:
    """The logits with the sign of the true channel turned: the larger, the more wrong, in every channel."""
    if logits.shape[1] == 1:
        return logits * (1 - 2 * classes[:, None])
    true = classes[:, None]
    return logits.scatter(1, true, -logits.gather(1, true))


def with_background(logits: Tensor) -> Tensor:
    """One channel as two whose softmax is its sigmoid; several as they are."""
    if logits.shape[1] > 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


def mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """The mean of (batch, *spatial) or (batch, channel, *spatial) values over valid pixels; 0 without any."""
    if valid is None:
        return values.mean()
    if values.ndim == valid.ndim:
        return (values * valid).sum() / valid.sum().clamp_min(1)
    return (values * valid[:, None]).sum() / (values.shape[1] * valid.sum()).clamp_min(1)


def overlap(
    output: Output[Tensor], target: Target[Tensor], per: Per
) -> tuple[Tensor, Tensor, Tensor]:
    """Soft numbers of pixels in common, found and true, each (group, channel).

    A group is an image, or the batch: that of all devices together where several train one model.
    """
    logits, classes, valid = read(output, target)
    found = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
    if valid is not None:
        found = found * valid[:, None]
    ones = torch.ones_like(found[:, 0]) if valid is None else valid
    terms = torch.stack(
        [
            _per_class(at_truth(found, classes), classes, logits.shape[1]),
            found.sum(tuple(range(2, found.ndim))),
            _per_class(ones, classes, logits.shape[1]),
        ]
    )
    if per == "batch":
        terms = _over_devices(terms.sum(1, keepdim=True))
    common, total, truth = terms
    return common, total, truth


def _per_class(values: Tensor, classes: Tensor, channels: int) -> Tensor:
    """Sums of (batch, *spatial) values over the pixels of each channel's class: (batch, channel)."""
    if channels == 1:
        return (values * classes).flatten(1).sum(1, keepdim=True)
    # Rows first: adding a million small numbers to one float32 loses digits, and queues on a GPU.
    rows = values.new_zeros(*classes.shape[:-1], channels).scatter_add(-1, classes, values)
    return rows.reshape(len(rows), -1, channels).sum(1)


def _over_devices(sums: Tensor) -> Tensor:
    """The sums over all devices, with the slope that their mean of gradients turns into the true one."""
    if not (dist.is_available() and dist.is_initialized() and sums.requires_grad):
        return sums
    total = sums.detach().clone()
    dist.all_reduce(total)
    return total + dist.get_world_size() * (sums - sums.detach())
