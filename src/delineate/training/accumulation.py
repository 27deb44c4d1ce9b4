"""Which losses give the same gradients when a batch is divided and the gradients of its parts are averaged."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

import torch
from torch import Tensor

from delineate.core import Output, Target
from delineate.losses import Loss, load_loss
from delineate.recipe import Recipe
from delineate.resolve import Call, resolve
from delineate.training.options import Options

TOLERANCE = 2e-5
"""Relative difference of two float32 values above which they are different."""


def inexact_losses(
    recipe: Recipe, options: Options, output: Output[Tensor], target: Target[Tensor]
) -> list[str]:
    """A sentence for each loss of a recipe whose gradients depend on `trainer.batch_size` in spite of accumulation.

    Each loss is measured, so that losses of the user are judged too.

    Args:
        recipe: its losses.
        options: its section `trainer`.
        output: an output of the recipe's model for two images.
        target: the truth of the recipe's task for two images.
    """
    if output.losses:  # the model computes them; their values cannot be divided
        return []
    batch, ignored = options.batch_size, bool(recipe.labels.ignored) or target.image is not None
    found = []
    for call in recipe.loss:
        if _exact(recipe, call, output, target, ignored=ignored):
            continue
        always = not _exact(recipe, call, output, target, ignored=False)
        where = "" if always else " where samples are ignored or labels unknown"
        better = replace(call, args={**call.args, "per": "image"})
        way_out = ""
        if "per" in inspect.signature(resolve("losses", call)).parameters and _exact(
            recipe, better, output, target, ignored=ignored
        ):
            way_out = f" {{{call.name}: {{per: image}}}} is such a mean."
        found.append(
            f"trainer.accumulate: the gradients of {options.accumulate} batches of {batch} differ from those of one "
            f"batch of {options.accumulate * batch}{where}, since {call.name} is not a mean over images.{way_out}"
        )
    return found


def _exact(
    recipe: Recipe, call: Call, output: Output[Tensor], target: Target[Tensor], *, ignored: bool
) -> bool:
    """Whether one loss of a recipe is a mean over images, measured on random logits and two different truths."""
    random = torch.Generator().manual_seed(0)
    logits = output.map(lambda x: torch.randn(x.shape, generator=random))
    return is_mean_over_images(
        load_loss([call], recipe.deep_supervision), logits, varied(target, ignored=ignored)
    )


def is_mean_over_images(loss: Loss, output: Output[Tensor], target: Target[Tensor]) -> bool:
    """Whether the loss of a batch is the mean of the losses of its images, for this output and truth."""
    with torch.no_grad():
        whole = loss(output, target).double()
        parts = [
            loss(output.map(image), target.map(image)).double()
            for image in (itemgetter(slice(i, i + 1)) for i in range(_images(target)))
        ]
    mean = torch.stack(parts).mean()
    return bool((whole - mean).abs() <= TOLERANCE * mean.abs().clamp_min(1e-3))


def varied(target: Target[Tensor], *, ignored: bool) -> Target[Tensor]:
    """A truth whose images show different amounts of each label; and ignore different amounts, if `ignored`."""
    random = torch.Generator().manual_seed(1)
    shares = torch.linspace(0.9, 0.2, _images(target))

    def chosen(shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=random) < shares.view(-1, *[1] * (len(shape) - 1))

    classes, regions, image = target.classes, target.regions, target.image
    valid = target.valid
    if classes is not None:
        classes = classes * chosen(classes.shape)
    if regions is not None:
        regions = regions * chosen(regions.shape)
    if ignored and (dense := classes if regions is None else regions[:, 0]) is not None:
        valid = chosen(dense.shape)
    if image is not None and ignored:
        image = torch.where(chosen(image.shape), image, torch.nan)
    return replace(target, classes=classes, regions=regions, valid=valid, image=image)


def _images(target: Target[Tensor]) -> int:
    arrays = (target.classes, target.regions, target.image)
    return next(len(array) for array in arrays if array is not None)
