"""Train the network of the refinement step `network`, on regions of out-of-fold predictions and of perturbed truths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from scipy import ndimage

from delineate.bundle import load_network, open_bundle
from delineate.components import numbered
from delineate.core import Case, Geometry, Image, Network, Segmentation
from delineate.files import whole_file
from delineate.progress import track
from delineate.recipe import Recipe, saved_recipe
from delineate.refine import Crop, NothingToLearnError, crops
from delineate.resolve import check
from delineate.verbs._refine_stages import FINISHED

LEAST_IOU = 0.6
"""A perturbed region overlaps the true one by at least this."""

MOST = 8
"""Regions of one prediction that the network learns from, the largest first."""

ATTEMPTS = 4
"""Perturbations of a truth before it is left as it is; each is half as strong as the one before."""

Predicted = Callable[[Case, Segmentation, Image], Segmentation]
"""Case, its truth and its image -> its out-of-fold prediction, refined by the steps before the network."""


def train_network(
    plan: Recipe,
    cases: Sequence[Case],
    predicted: Predicted,
    place: Path,
    card: Mapping[str, Any],
    max_time: str,
    device: str,
) -> tuple[Network, int]:
    """Train a refinement network and write its bundle into `place`.

    It learns from a crop of each region of the out-of-fold predictions, and of truths whose regions are perturbed:
    shifted, with a deformed border of an IoU of at least 0.6 with the true one, and with holes.

    Args:
        plan: the recipe of the model that is refined.
        cases: with a truth.
        predicted: gives the prediction of a case by a model that did not see it.
        place: the folder of the training.
        card: of the bundle that is refined: what it was made from.
        max_time: the time for training.
        device: where the returned network runs.

    Returns:
        The network, and the number of channels of its input.

    Raises:
        NothingToLearnError: no region was predicted.
        KeyboardInterrupt: the user interrupted.
    """
    from delineate.training.fit import fit

    place.mkdir(parents=True, exist_ok=True)
    recipe = _recipe(plan, place, max_time)
    channels = _channels(plan, cases)
    learnt = list(_crop_cases(cases, predicted, plan.seed, channels))
    if not learnt:
        raise NothingToLearnError("no region was predicted")
    if not fit(recipe, {"train": tuple(learnt)}, place, {**card, "name": recipe.name}):
        raise KeyboardInterrupt
    bundle = open_bundle(place, plan.model.trust).update_card(**{FINISHED: True})
    return load_network(bundle, device), int(bundle.card["channels"])


def _channels(plan: Recipe, cases: Sequence[Case]) -> int:
    """The channels of images in crops: those that `prepare` makes of them, else those of the first image."""
    for call in plan.prepare:
        if call.name == "channels":
            return int(check("prepare", call)["count"])
    return cases[0].image.channels


def _recipe(plan: Recipe, place: Path, max_time: str) -> Recipe:
    """The recipe of the network, with the labels and data of the model that it refines."""
    trainer = {
        name: plan.trainer.args[name]
        for name in ("device", "precision", "workers", "loggers", "deterministic")
        if name in plan.trainer.args
    }
    tree = {
        "name": f"{plan.name}-refinement",
        "data": plan.tree["data"],
        "labels": plan.tree["labels"],
        "task": "semantic",
        "augment": [] if plan.labels.sides else ["flip", "rotate90"],
        "model": "region_refiner",
        "loss": [{"structure": {"width": 15}}, "cross_entropy"],
        "optimizer": {"adamw": {"lr": 2e-3, "weight_decay": 1e-2}},
        "schedule": {"cosine": {"warmup": 0.05}},
        "trainer": {
            **trainer,
            "epochs": 1000,
            "max_time": max_time,
            "batch_size": 16,
            "gradient_clip": 1.0,
            "ema": 0.99,
            "cache": False,
        },
        "seed": plan.seed,
    }
    path = place / "recipe.yaml"
    with whole_file(path) as part:
        part.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return saved_recipe(path, plan.model.trust)


def _crop_cases(
    cases: Sequence[Case], predicted: Predicted, seed: int, channels: int
) -> Iterator[Case]:
    """Training cases: the crops, and the truth in each. They are kept in memory."""
    for number, case in enumerate(track(cases, "cutting regions")):
        image, truth = case.image, case.truth
        if truth is None:
            raise ValueError(f"{case.id}: no truth to learn from.")
        rng = np.random.default_rng([seed, number])
        given = {"predicted": predicted(case, truth, image), "perturbed": perturbed(truth, rng)}
        for kind, prediction in given.items():
            for region, crop in enumerate(crops(prediction, image, channels, MOST)):
                yield Case(
                    f"{case.id}/{kind}-{region}",
                    case.group,
                    partial(_image, crop.pixels),
                    partial(_truth, _true_classes(crop, truth), truth),
                )


def _true_classes(crop: Crop, truth: Segmentation) -> np.ndarray:
    square = crop.cut(truth.classes)
    size = crop.pixels.shape[-1]
    kind = square.dtype if square.dtype in (np.uint8, np.uint16) else np.dtype(np.uint16)
    return cv2.resize(square.astype(kind), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)


def _image(pixels: np.ndarray) -> Image:
    return Image(pixels, Geometry.in_pixels(pixels.shape[1:]))


def _truth(classes: np.ndarray, truth: Segmentation) -> Segmentation:
    return Segmentation(classes, truth.labels, Geometry.in_pixels(classes.shape))


def perturbed(truth: Segmentation, rng: np.random.Generator) -> Segmentation:
    """A prediction that a truth might have got: each region with another border, some with a hole, and soft.

    A smooth random displacement moves the border by up to a fifth of the region's diameter. As CascadePSP (Cheng et
    al., CVPR 2020) perturbs masks, but the IoU with the true region may fall to 0.6. One region in four has a hole. One
    in four gets the probabilities of another label, where there are several.

    Returns:
        On the grid of the truth, with probabilities: (1 + label, row, column).
    """
    labels = truth.labels
    maps = np.zeros((1 + len(labels), *truth.classes.shape), np.float32)
    foreground = np.zeros(truth.classes.shape, bool)
    for name in labels.names:
        foreground |= truth.mask(name)
    numbers = numbered(foreground)
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        region = numbers[box] == number
        diameter = float(2 * np.sqrt(region.sum() / np.pi))
        pad = math.ceil(0.5 * diameter) + 2
        around = tuple(
            slice(max(0, part.start - pad), min(n, part.stop + pad))
            for part, n in zip(box, numbers.shape, strict=True)
        )
        region = numbers[around] == number
        soft = _moved(region, diameter, rng).astype(np.float32)
        if rng.random() < 0.25:
            row, column = rng.choice(np.argwhere(region))
            radius = max(1, round(diameter * rng.uniform(0.05, 0.15)))
            cv2.circle(soft, (int(column), int(row)), radius, 0.0, -1)
        soft = cv2.GaussianBlur(soft, (0, 0), max(0.5, 0.03 * diameter)) * rng.uniform(0.7, 1.0)
        there = [
            np.count_nonzero(region & labels.mask(name, truth.classes[around]))
            for name in labels.names
        ]
        shares = np.array(there) / sum(there)
        if len(labels) > 1:
            certainty = rng.uniform(0.4, 1.0)
            shares = certainty * shares + (1 - certainty) / len(labels)
            if rng.random() < 0.25:
                shares = rng.permutation(shares)
        maps[1:, *around] += soft * shares[:, None, None].astype(np.float32)
    total = maps[1:].sum(axis=0)
    maps[1:] /= np.maximum(total, 1)
    maps[0] = 1 - maps[1:].sum(axis=0)
    values = np.array([0, *labels.values], truth.classes.dtype)
    return Segmentation(values[maps.argmax(axis=0)], labels, truth.geometry, probabilities=maps)


def _moved(region: np.ndarray, diameter: float, rng: np.random.Generator) -> np.ndarray:
    """A region with a shifted and deformed border, in a box around it."""
    height, width = region.shape
    at = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    # about three independent displacements along the diameter
    knots = [max(2, round(3 * n / (diameter + 1)) + 1) for n in region.shape]
    coarse = rng.normal(size=(2, *knots)).astype(np.float32)
    field = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse]
    for attempt in range(ATTEMPTS):
        by = float(0.2 * diameter * rng.random()) / 2**attempt
        columns, rows = (start + by * shift for start, shift in zip(at, field, strict=True))
        moved = cv2.remap(region.astype(np.uint8), columns, rows, cv2.INTER_NEAREST).astype(bool)
        either = np.count_nonzero(moved | region)
        if np.count_nonzero(moved & region) >= LEAST_IOU * either:
            return moved
    return region


def network_problem(plan: Recipe, axes: int) -> str | None:
    """Why a model cannot have a refinement network; None if it can.

    axes: of the images that the model takes.
    """
    if axes != 2:
        return "the refinement network is for images with two axes; the data have three"
    if plan.labels.overlap or plan.task.name != "semantic":
        return (
            "the refinement network is for the task semantic, with labels that exclude each other"
        )
    if check("tasks", plan.task).get("threshold") is not None:
        return (
            "the refinement network decides by the most probable label, not by the task's threshold"
        )
    return None
