"""Building blocks of the losses. None expands exclusive labels to one map per class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch import distributed as dist

from delineate.core.output import Output, Target

Per = Literal["batch", "image"]

IMAGE_LEVEL = "image-level labels"


class UnfitError(ValueError):
    """A loss does not fit the targets of a task.

    needs: the targets that the loss needs. given: the targets that the task has.
    """

    def __init__(self, needs: str, given: str) -> None:
        super().__init__(f"the loss needs {needs}, but the task has {given}.")
        self.needs = needs
        self.given = given


@dataclass(frozen=True, eq=False)
class Pair:
    """Logits and the truth on the same grid.

    logits: (batch, channel, *spatial) float32, or float64 where they are given so; (batch, channel) for image-level
        labels.
    classes: (batch, *spatial) int64, the true channel of each sample; None if labels may overlap.
    regions: shape and type of the logits, 1 where a label is; None if labels exclude each other.
    valid: (batch, *spatial) of the type of the logits, or (batch, channel) for image-level labels: 0 where the truth is
        ignored; None if it is ignored nowhere.
    """

    logits: Tensor
    classes: Tensor | None
    regions: Tensor | None
    valid: Tensor | None

    @property
    def first_label(self) -> int:
        """The channel of the first label: 1 after a background, 0 where there is none."""
        return 0 if self.classes is None or self.logits.shape[1] == 1 else 1

    def exclusive(self, unless: str = "") -> Tensor:
        """The classes, for a loss that needs one label per sample.

        unless: the argument with which the loss accepts labels that overlap, for the message.

        Raises:
            UnfitError: the labels may overlap.
        """
        if self.classes is None:
            given = IMAGE_LEVEL if self.logits.ndim < 3 else "labels that overlap"
            raise UnfitError(
                f"labels that exclude each other{unless and f', unless with {unless}'}", given
            )
        return self.classes

    def refuse_image_level(self) -> None:
        """Refuse image-level labels, for a loss that needs masks.

        Raises:
            UnfitError: the truth is image-level labels.
        """
        if self.logits.ndim < 3:
            raise UnfitError("masks", IMAGE_LEVEL)

    def mean_at_truth(self, values: Tensor, per: Per) -> Tensor:
        """The mean of (batch, channel, *spatial) values over valid samples and channels; other than true ones are 0."""
        if self.classes is None:
            return mean(values * self.label_maps(), self.valid, per)
        return mean(at_truth(values, self.classes), self.valid, per) / values.shape[1]

    def one_vs_rest(self) -> Tensor:
        """The logits with the sign of the true channels reversed: in every channel, larger means more wrong."""
        if self.classes is None:
            assert self.regions is not None
            return self.logits * (1 - 2 * self.regions)
        true = self.classes[:, None]
        if self.logits.shape[1] == 1:
            return self.logits * (1 - 2 * true)
        return self.logits.scatter(1, true, -self.logits.gather(1, true))

    def label_maps(self) -> Tensor:
        """1 where a label is: (batch, label, *spatial)."""
        if self.classes is None:
            assert self.regions is not None
            return self.regions
        labels = torch.arange(1, max(2, self.logits.shape[1]), device=self.classes.device)
        return (self.classes[:, None] == labels.view(-1, *[1] * (self.classes.ndim - 1))).to(
            self.logits.dtype
        )


def at_truth(values: Tensor, classes: Tensor) -> Tensor:
    """The `values` (batch, channel, *spatial) of the true channel: (batch, *spatial).

    With one channel, there is none for background: there the result is 0.
    """
    if values.shape[1] == 1:
        return values[:, 0] * classes
    return values.gather(1, classes[:, None])[:, 0]


def read(output: Output[Tensor], target: Target[Tensor]) -> Pair:
    """Pair the logits with the truth.

    Raises:
        ValueError: a head is missing, or the shapes differ.
    """
    if target.image is not None and target.classes is None and target.regions is None:
        return _image_level(output.image_logits, target.image)
    logits = wide(output.logits)
    valid = None if target.valid is None else target.valid.to(logits.dtype)
    if target.regions is not None:
        if logits.shape != target.regions.shape:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}, the regions {tuple(target.regions.shape)}; "
                "expected (batch, label, *spatial) for both."
            )
        return Pair(logits, None, target.regions.to(logits.dtype), valid)
    classes = target.classes
    if classes is None:
        raise UnfitError("masks", "none")
    if logits.shape[:1] + logits.shape[2:] != classes.shape:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)}, the classes {tuple(classes.shape)}; "
            "expected (batch, channel, *spatial) and (batch, *spatial)."
        )
    return Pair(logits, classes.long(), None, valid)


def _image_level(logits: Tensor, truth: Tensor) -> Pair:
    """Pair image-level labels, which may overlap and have no spatial axes; unknown labels (NaN) are not valid."""
    if logits.shape != truth.shape:
        raise ValueError(
            f"image-level logits have shape {tuple(logits.shape)}, the truth {tuple(truth.shape)}; "
            "expected (batch, label) for both."
        )
    logits, known = wide(logits), ~truth.isnan()
    maps = truth.nan_to_num().to(logits.dtype) * known
    return Pair(logits, None, maps, known.to(logits.dtype))


def wide(values: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 unchanged."""
    return values if values.dtype == torch.float64 else values.float()


def with_background(logits: Tensor) -> Tensor:
    """One channel becomes two, whose softmax equals its sigmoid; several channels do not change."""
    if logits.shape[1] > 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


def mean(values: Tensor, valid: Tensor | None, per: Per) -> Tensor:
    """The mean of (batch, *spatial) or (batch, channel, *spatial) values over valid samples; 0 if none is valid.

    per: "batch" is the mean over the samples of all images; "image" is the mean over the images of the mean of each.
    """
    if valid is None:
        return values.mean()
    if values.ndim == valid.ndim:
        return ratio(values * valid, valid, per)
    return ratio((values * valid[:, None]).sum(1), valid, per) / values.shape[1]


def ratio(values: Tensor, weights: Tensor, per: Per, least: float = 1.0) -> Tensor:
    """The sum of the values divided by that of the weights, of the whole batch or of each image.

    least: the smallest divisor; it makes the ratio 0 where all weights are 0.
    """
    if per == "batch":
        return values.sum() / weights.sum().clamp_min(least)
    return (values.flatten(1).sum(1) / weights.flatten(1).sum(1).clamp_min(least)).mean()


def mean_of_largest(values: Tensor, valid: Tensor | None, share: float, per: Per) -> Tensor:
    """The mean of the largest (batch, *spatial) values, a `share` of the valid samples rounded up; 0 if none is valid.

    The values are not negative.
    """
    rows = values.reshape(1, -1) if per == "batch" else values.flatten(1)
    most = math.ceil(share * rows.shape[1])
    if valid is None:
        return rows.topk(most).values.mean()
    used = valid.reshape(rows.shape)
    largest = (rows * used).topk(most).values
    # a mask instead of a shorter topk, whose length would have to come from the GPU
    counts = (share * used.sum(1, keepdim=True)).ceil()
    chosen = torch.arange(most, device=rows.device) < counts
    return ((largest * chosen).sum(1) / counts[:, 0].clamp_min(1)).mean()


def overlap(pair: Pair, per: Per, *, squared: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Soft counts of the intersection, the predicted and the true samples, each (group, channel).

    A group is an image, or the batch over all devices. squared: predicted samples count with their squared probability.
    """
    logits, valid = pair.logits, pair.valid
    pair.refuse_image_level()
    softmax = pair.classes is not None and logits.shape[1] > 1
    predicted = logits.softmax(1) if softmax else logits.sigmoid()
    if valid is not None:
        predicted = predicted * valid[:, None]
    axes = tuple(range(2, logits.ndim))
    if pair.classes is None:
        truth = pair.label_maps()
        truth = truth if valid is None else truth * valid[:, None]
        common, true = (predicted * truth).sum(axes), truth.sum(axes)
    else:
        ones = torch.ones_like(predicted[:, 0]) if valid is None else valid
        common = _per_class(at_truth(predicted, pair.classes), pair.classes, logits.shape[1])
        true = _per_class(ones, pair.classes, logits.shape[1])
    total = (predicted.square() if squared else predicted).sum(axes)
    terms = torch.stack([common, total, true])
    if per == "batch":
        terms = _over_devices(terms.sum(1, keepdim=True))
    common, total, true = terms
    return common, total, true


def _per_class(values: Tensor, classes: Tensor, channels: int) -> Tensor:
    """Sums of (batch, *spatial) values over the samples of each channel's class: (batch, channel)."""
    if channels == 1:
        return (values * classes).flatten(1).sum(1, keepdim=True)
    # Rows first: adding a million small numbers to one float32 loses precision, and serializes on a GPU.
    rows = values.new_zeros(*classes.shape[:-1], channels).scatter_add(-1, classes, values)
    return rows.reshape(len(rows), -1, channels).sum(1)


def _over_devices(sums: Tensor) -> Tensor:
    """The sums over all devices, scaled so that averaging the gradients over devices gives the true gradient."""
    if not (dist.is_available() and dist.is_initialized() and sums.requires_grad):
        return sums
    total = sums.detach().clone()
    dist.all_reduce(total)
    return total + dist.get_world_size() * (sums - sums.detach())
