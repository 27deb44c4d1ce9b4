"""Give each region its label, or none, by a classifier of its size, shape, colour and probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from delineate.arguments import LabelName, Number, Text
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import NothingToLearnError, learnt
from delineate.refine._regions import (
    Chosen,
    Region,
    colour_axes,
    colour_spread,
    diameter,
    needs_probabilities,
    regions,
    touching,
)

Weights = Mapping[Text, Number]
"""A number for each feature, and for `bias`."""

LEAST_TRUE = 0.3
"""A predicted region counts as an object, if this share of it is one."""

SMALLEST = 1e-4
"""Probabilities are kept this far from 0 and 1, where their logits are infinite."""

LEAST_RATIO = 1e-3
"""The least ratio of two spreads whose logarithm is taken: less is rounding."""

LEAST_SPREAD = 0.05
"""A feature that hardly differs among the regions seen gets no large weight: another image may have another one."""

STRENGTH = 0.1
"""The inverse of the penalty of the weights (C of scikit-learn), for features with mean 0 and variance 1."""


def _learn(examples: Iterable[tuple[Segmentation, Segmentation, Image]]) -> dict[str, Any]:
    """Fit the weights of `classify` to predictions: multinomial logistic regression, all kinds weighted equally.

    Args:
        examples: prediction, truth and image of each case; by a model that did not see the case.

    Returns:
        The arguments of `classify`.

    Raises:
        NothingToLearnError: no region was predicted, or the images have different numbers of channels.
        ValueError: an image, or the probabilities of a prediction, are not finite.
    """
    from sklearn.linear_model import LogisticRegression

    found: list[dict[str, float]] = []
    kinds: list[int] = []
    for prediction, truth, image in examples:
        labels = prediction.labels.names
        for region, features in _described(prediction, image):
            kind = _true_kind(region, truth)
            if kind is None:
                continue
            if found and features.keys() != found[0].keys():
                raise NothingToLearnError("the images have different numbers of channels")
            found.append(features)
            kinds.append(0 if kind == "" else 1 + labels.index(kind))
    if not found:
        raise NothingToLearnError("no region was predicted")
    names = list(found[0])
    table = np.array([[features[name] for name in names] for features in found])
    middle, spread = table.mean(axis=0), table.std(axis=0)
    spread = np.maximum(spread, LEAST_SPREAD)
    if len(set(kinds)) == 1:  # nothing to tell apart: every region keeps this kind
        return _arguments(labels, {kinds[0]: {"bias": 0.0}})
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=10_000)
    model.fit((table - middle) / spread, kinds)
    rows, biases = model.coef_, model.intercept_
    if len(rows) == 1:  # of two kinds, scikit-learn fits the second against the first
        rows, biases = np.concatenate([0 * rows, rows]), np.concatenate([0 * biases, biases])
    weights = {}
    for kind, row, bias in zip(model.classes_, rows, biases, strict=True):
        raw = row / spread
        weights[int(kind)] = {"bias": float(bias - raw @ middle)} | {
            name: float(value) for name, value in zip(names, raw, strict=True)
        }
    return _arguments(labels, weights)


@learnt(_learn)
def classify(labels: Mapping[LabelName, Weights], background: Weights | None = None) -> Refinement:
    """Give each region one label, or remove it, by its size, shape, colour and probabilities. Needs probabilities.

    A region is a connected component of the union of all labels. Its score for each label, and for background, is the
    sum of its features, each times its weight, and of `bias`; the largest score wins. `delineate refine fit` finds the
    weights by multinomial logistic regression on regions that a model predicted in images it did not see, all kinds of
    regions counting the same: for objects that have one label each, such as polyps. Labels that are included in
    another stay inside it, and go with it. This is our own definition. The features:

    `size`, the logarithm of the region's share of the image's samples, in an image in mm of its area or volume;
    `part`, that of its share of all regions; `elongation` and `fullness`, from the ellipse (ellipsoid) with the
    same second moments: half the logarithm of the ratio of its longest to its shortest axis squared, and the logarithm
    of the region's size over the ellipse's; `at_edge`, 1 if the region reaches the edge of the image. For each colour
    axis as in `colour` (of a grey photograph, those of equal channels), in standard deviations of the whole image:
    `tone_0`, the mean of the region; `contrast_0`, minus that of a ring around it; `spread_0`, the logarithm of the
    standard deviation, and `uniformity_0`, that of its ratio to the ring's; of the image itself `image_tone_0` and
    `image_spread_1`, its mean and the logarithm of its standard deviation, in standard deviations of the first axis.
    `highest` and `mean`, the logits of the highest and of the mean foreground probability; `vote_<label>`, the
    logarithm of the label's share of it.

    Args:
        labels: the weights of each label that a region may get, by the name of the feature; one left out counts 0.
            Without labels and background, nothing changes.
        background: the weights of background: the region is removed. If left out, no region is.

    Raises:
        ValueError: in use, if the prediction has no probabilities, or some are not finite, its grid is not that of the
            image, or a weight is of a feature that images with so many channels have not.
    """
    kinds: list[tuple[str | None, Weights]] = [*labels.items()]
    if background is not None:
        kinds.insert(0, (None, background))

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        if not kinds:
            needs_probabilities(prediction, "classify")
            return prediction
        classes = prediction.classes.copy()
        chosen = Chosen.of(prediction, None)
        for region, features in _described(prediction, image):
            known = {"bias": 1.0} | features
            scores = [_score(weights, known) for _, weights in kinds]
            label = kinds[int(np.argmax(scores))][0]
            here = classes[region.box]
            if label is None:
                chosen.removed(here, region.mask)
            else:
                here[region.mask & ~chosen.labels.mask(label, here)] = chosen.labels[label].value
        return prediction.changed(classes)

    return step


def _arguments(labels: Sequence[str], weights: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    """The arguments of `classify`, with six significant digits, from the weights of background (0) and labels."""
    short = {
        kind: {name: float(f"{value:.6g}") for name, value in of.items()}
        for kind, of in weights.items()
    }
    arguments: dict[str, Any] = {"labels": {labels[k - 1]: of for k, of in short.items() if k > 0}}
    return arguments | ({"background": short[0]} if 0 in short else {})


def _score(weights: Weights, features: Mapping[str, float]) -> float:
    unknown = [name for name in weights if name not in features]
    if unknown:
        raise ValueError(
            f"classify has a weight of {unknown[0]!r}, which is no feature of this image and these labels; "
            f"expected {', '.join(features)}."
        )
    return sum(weight * features[name] for name, weight in weights.items())


def _true_kind(region: Region, truth: Segmentation) -> str | None:
    """The label that covers the largest part of a region, of those that no other includes; "" for background.

    None if all of the region is to be ignored.
    """
    here = truth.classes[region.box][region.mask]
    here = here[~np.isin(here, truth.labels.ignored)]
    if not here.size:
        return None
    names = Chosen.of(truth, None).names
    counts = {name: np.count_nonzero(truth.labels.mask(name, here)) for name in names}
    if sum(counts.values()) < LEAST_TRUE * here.size:
        return ""
    return max(counts, key=lambda name: counts[name])


def _described(prediction: Segmentation, image: Image) -> Iterator[tuple[Region, dict[str, float]]]:
    """The regions of a prediction, each with its features.

    Raises:
        ValueError: the image is not finite, or not on the grid of the prediction; or as `needs_probabilities`.
    """
    needs_probabilities(prediction, "classify")
    geometry = prediction.geometry
    if image.geometry.shape != geometry.shape:
        raise ValueError(
            f"classify got an image of {image.geometry.shape} and a segmentation of {geometry.shape} samples; "
            "expected the same grid."
        )
    if geometry.ndim == 2 and image.channels == 1:  # as one whose three channels are equal
        image = Image(np.repeat(image.pixels, 3, axis=0), image.geometry)
    chosen = Chosen.of(prediction, None)
    union = chosen.mask()
    found = regions(union)
    if not found:
        return
    with np.errstate(over="ignore", invalid="ignore"):  # the check below says so
        middle, spread = colour_spread(image)
    if not (np.isfinite(middle).all() and np.isfinite(spread).all()):
        raise ValueError(
            "classify compares colours, and the image contains NaN, infinity or values too large to square. "
            "Export it again, or leave classify out of refine."
        )
    whole = math.prod(geometry.shape) if geometry.unit == "px" else 1 / geometry.sample_size
    total = sum(region.size for region in found)
    for region in found:
        features = {
            "size": math.log(region.size / whole),
            "part": math.log(region.size / total),
            **_shape(region, prediction),
            **_colour(region, union, image, middle, spread),
            **_certainty(region, chosen),
        }
        yield region, features


def _shape(region: Region, prediction: Segmentation) -> dict[str, float]:
    geometry = prediction.geometry
    covariance = _covariance(region.mask, geometry.spacing)
    axes = np.linalg.eigvalsh(covariance)
    unit_ball = math.pi if geometry.ndim == 2 else 4 / 3 * math.pi
    ellipse = unit_ball * math.sqrt((geometry.ndim + 2) ** geometry.ndim * float(axes.prod()))
    at_edge = any(
        b.start == 0 or b.stop == n for b, n in zip(region.box, geometry.shape, strict=True)
    )
    return {
        "elongation": 0.5 * math.log(axes[-1] / axes[0]),
        "fullness": math.log(region.size * geometry.sample_size / ellipse),
        "at_edge": float(at_edge),
    }


def _covariance(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """The covariance of the places of the samples in a mask; a sample is a box, not a point."""
    boxes = np.diag(np.square(spacing) / 12)
    if mask.ndim == 2:  # as below, in a tenth of the time
        moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
        mixed = moments["mu11"]
        sums = np.array([[moments["mu02"], mixed], [mixed, moments["mu20"]]])
        return np.asarray(sums / moments["m00"] * np.outer(spacing, spacing) + boxes)
    points = np.argwhere(mask) * np.array(spacing)
    points -= points.mean(axis=0)
    return np.asarray(points.T @ points / len(points) + boxes)


def _colour(
    region: Region, union: np.ndarray, image: Image, middle: np.ndarray, spread: np.ndarray
) -> dict[str, float]:
    wide = [max(2, round(0.15 * diameter(region.size, union.ndim)))] * union.ndim
    box, mask = region.around([n + 1 for n in wide], union.shape)
    axes = colour_axes(image, box)
    ring = touching(mask, wide) & ~union[box]
    inside = _mean_and_spread(axes, mask)
    around = _mean_and_spread(axes, ring) if ring.any() else inside
    divisor = np.where(spread > 0, spread, 1)
    features: dict[str, float] = {}
    for i, (tone, own), (around_tone, other) in zip(range(len(axes)), inside, around, strict=True):
        features |= {
            f"tone_{i}": (tone - middle[i]) / divisor[i],
            f"contrast_{i}": (tone - around_tone) / divisor[i],
            f"spread_{i}": math.log(own / divisor[i] + 0.02),
            f"uniformity_{i}": math.log((own / divisor[i] + 0.02) / (other / divisor[i] + 0.02)),
            f"image_tone_{i}": middle[i] / divisor[0],
        }
        if i:
            features[f"image_spread_{i}"] = math.log(max(spread[i] / divisor[0], LEAST_RATIO))
    return {name: float(value) for name, value in features.items()}


def _mean_and_spread(axes: np.ndarray, mask: np.ndarray) -> list[tuple[float, float]]:
    """The mean and the standard deviation of each of the axes (axis, *spatial) inside a mask."""
    if mask.ndim == 2:
        found = [cv2.meanStdDev(axis, mask=mask.view(np.uint8)) for axis in axes]
        return [(float(mean[0, 0]), float(spread[0, 0])) for mean, spread in found]
    inside = axes[:, mask].astype(np.float64)
    return [(float(values.mean()), float(values.std())) for values in inside]


def _certainty(region: Region, chosen: Chosen) -> dict[str, float]:
    foreground = chosen.foreground(region.box)[region.mask].astype(np.float64)
    mean = float(foreground.mean())
    votes = {}
    for name in chosen.labels.names:
        share = float(chosen.map(name, region.box)[region.mask].mean(dtype=np.float64))
        votes[f"vote_{name}"] = math.log(share / max(mean, SMALLEST) + 0.01)
    return {"highest": _logit(float(foreground.max())), "mean": _logit(mean), **votes}


def _logit(probability: float) -> float:
    bounded = min(max(probability, SMALLEST), 1 - SMALLEST)
    return math.log(bounded / (1 - bounded))
