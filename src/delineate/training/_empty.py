"""Empty pixels, outputs and truths of the right shapes, on which a rehearsal tries the parts of a training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from delineate.core import Geometry, LabelSet, Objects, Output, Segmentation, Target
from delineate.core.scores import PRESENCE
from delineate.recipe import Recipe
from delineate.tasks import load_task

SMALL = {2: 64, 3: 24}
"""Samples along an axis of the arrays on which losses, metrics and refinements are tried, by the number of axes."""


def scene_of(labels: LabelSet, geometry: Geometry) -> Segmentation:
    """A segmentation that shows a stripe of each label, with probabilities."""
    rows = np.arange(geometry.shape[0]) * (1 + len(labels)) // geometry.shape[0]
    channel = np.broadcast_to(rows.reshape(-1, *[1] * (geometry.ndim - 1)), geometry.shape)
    values = np.array([0, *labels.values], np.uint16)
    probabilities = (channel == np.arange(1 + len(labels)).reshape(-1, *[1] * geometry.ndim)) * 0.8
    probabilities += 0.2 / (1 + len(labels))
    return Segmentation(
        values[channel], labels, geometry, probabilities=probabilities.astype(np.float32)
    )


def with_image_labels(scene: Segmentation, gives: Collection[str]) -> Segmentation:
    """The scene, with image-level labels if the task gives them."""
    if "present" not in gives:
        return scene
    names = scene.labels.names
    return replace(
        scene,
        scores={PRESENCE.format(label=name): 0.8 for name in names},
        present=dict.fromkeys(names, True),
    )


def target_of(recipe: Recipe, shape: Sequence[int], batch: int) -> Target[Tensor]:
    """The truth of a batch of images that show every label."""
    target = load_task(recipe.task, recipe.labels).encode(
        scene_of(recipe.labels, Geometry.in_pixels(shape))
    )
    return Target.stack([target] * batch).map(torch.from_numpy)


def small_output(
    recipe: Recipe, shape: Sequence[int], of: Output[Tensor]
) -> tuple[Output[Tensor], Target[Tensor]]:
    """A small output and its target: the task's heads, with as many `sides` and the same losses as `of`."""
    task = load_task(recipe.task, recipe.labels)
    small = [min(n, SMALL[len(shape)]) for n in shape]
    channels = task.heads.get("dense", 0)
    maps = [
        torch.zeros(2, channels, *(max(1, n >> level) for n in small), requires_grad=True)
        for level in range(len(of.sides) + 1 if channels else 0)
    ]
    image = torch.zeros(2, task.heads["image"], requires_grad=True) if "image" in task.heads else None  # fmt: skip
    losses = {name: torch.zeros((), requires_grad=True) for name in of.losses}
    output = Output(maps[0] if maps else None, tuple(maps[1:]), image, losses=losses)
    return output, target_of(recipe, small, 2)


def zero_logits(heads: Mapping[str, int], pixels: np.ndarray) -> Output[np.ndarray]:
    """An output with these heads: all logits are 0, and there are no objects."""
    batch, spatial = pixels.shape[0], pixels.shape[2:]
    given: dict[str, Any] = {}
    if "dense" in heads:
        given["dense"] = np.zeros((batch, heads["dense"], *spatial), np.float32)
    if "image" in heads:
        given["image"] = np.zeros((batch, heads["image"]), np.float32)
    if "objects" in heads:
        none = (np.zeros((0, heads["objects"])), np.zeros((0, 2, len(spatial))))
        given["objects"] = (Objects(*none, np.zeros((0, *[1] * len(spatial)))),) * batch
    return Output(**given)
