"""Give each region its label, or none, by a classifier of its size, shape, colour and probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from delineate.arguments import LabelName, Number, Text
from delineate.core import Image, Refinement, Segmentation
from delineate.refine import learnt
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

BACKGROUND = "background"
"""The kind of a region that is no object."""

LEAST_TRUE = 0.3
"""A predicted region counts as an object, if this share of it is one."""

SMALLEST = 1e-4
"""Probabilities and spreads are kept this far from 0, where their logarithms are infinite."""

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
        ValueError: no region was predicted.
    """
    from sklearn.linear_model import LogisticRegression

    found: list[dict[str, float]] = []
    kinds: list[str] = []
    for prediction, truth, image in examples:
        for region, features in _described(prediction, image):
            if (kind := _true_kind(region, truth)) is not None:
                found.append(features)
                kinds.append(kind)
    if not found:
        raise ValueError("no region was predicted, so there is nothing to learn their labels from.")
    names = list(found[0])
    table = np.array([[features[name] for name in names] for features in found])
    middle, spread = table.mean(axis=0), table.std(axis=0)
    spread = np.maximum(spread, LEAST_SPREAD)
    if len(set(kinds)) == 1:  # nothing to tell apart: every region keeps this kind
        return _arguments({kinds[0]: {"bias": 0.0}})
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=10_000)
    model.fit((table - middle) / spread, kinds)
    rows, biases = model.coef_, model.intercept_
    if len(rows) == 1:  # of two kinds, scikit-learn fits the second against the first
        rows, biases = np.concatenate([0 * rows, rows]), np.concatenate([0 * biases, biases])
    weights = {}
    for kind, row, bias in zip(model.classes_, rows, biases, strict=True):
        raw = row / spread
        weights[str(kind)] = {"bias": float(bias - raw @ middle)} | {
            name: float(value) for name, value in zip(names, raw, strict=True)
        }
    return _arguments(weights)


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
    axis as in `colour`, in standard deviations of the whole image: `tone_0`, the mean of the region; `contrast_0`,
    minus that of a ring around it; `spread_0`, the logarithm of the standard deviation, and `uniformity_0`,
    that of its ratio to the ring's; of the image itself `image_tone_0` and `image_spread_1`, its mean and the logarithm
    of its standard deviation, in standard deviations of the first axis. `highest` and `mean`, the logits of the highest
    and of the mean foreground probability; `vote_<label>`, the logarithm of the label's share of it.

    Args:
        labels: the weights of each label that a region may get, by the name of the feature; one left out counts 0.
            Without labels and background, nothing changes.
        background: the weights of background: the region is removed. If left out, no region is.

    Raises:
        ValueError: in use, if the prediction has no probabilities, or some are not finite, its grid is not that of the
            image, or a weight is of a feature that images with so many channels have not.
    """
    kinds = [BACKGROUND, *labels] if background is not None else [*labels]
    weights = [background, *labels.values()] if background is not None else [*labels.values()]

    def step(prediction: Segmentation, image: Image) -> Segmentation:
        needs_probabilities(prediction, "classify")
        if not kinds:
            return prediction
        classes = prediction.classes.copy()
        chosen = Chosen.of(prediction, None)
        for region, features in _described(prediction, image):
            known = {"bias": 1.0} | features
            scores = [_score(of, known) for of in weights if of is not None]
            kind = kinds[int(np.argmax(scores))]
            here = classes[region.box]
            if kind == BACKGROUND:
                chosen.removed(here, region.mask)
            else:
                here[region.mask & ~chosen.labels.mask(kind, here)] = chosen.labels[kind].value
        return prediction.changed(classes)

    return step


def _arguments(weights: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The arguments of `classify`, with six significant digits."""
    short = {
        kind: {name: float(f"{value:.6g}") for name, value in of.items()}
        for kind, of in weights.items()
    }
    arguments: dict[str, Any] = {"labels": {k: of for k, of in short.items() if k != BACKGROUND}}
    return arguments | ({"background": short[BACKGROUND]} if BACKGROUND in short else {})


def _score(weights: Weights, features: Mapping[str, float]) -> float:
    unknown = [name for name in weights if name not in features]
    if unknown:
        raise ValueError(
            f"classify has a weight of {unknown[0]!r}, which is no feature of this image and these labels; "
            f"expected {', '.join(features)}."
        )
    return sum(weight * features[name] for name, weight in weights.items())


def _true_kind(region: Region, truth: Segmentation) -> str | None:
    """The label that covers the largest part of a region, of those that no other includes; else background.

    None if all of it is to be ignored.
    """
    here = truth.classes[region.box][region.mask]
    here = here[~np.isin(here, truth.labels.ignored)]
    if not here.size:
        return None
    names = Chosen.of(truth, None).names
    counts = {name: np.count_nonzero(truth.labels.mask(name, here)) for name in names}
    if sum(counts.values()) < LEAST_TRUE * here.size:
        return BACKGROUND
    return max(counts, key=lambda name: counts[name])


def _described(prediction: Segmentation, image: Image) -> Iterator[tuple[Region, dict[str, float]]]:
    """The regions of a prediction, each with its features."""
    geometry = prediction.geometry
    if image.geometry.shape != geometry.shape:
        raise ValueError(
            f"classify got an image of {image.geometry.shape} and a segmentation of {geometry.shape} samples; "
            "expected the same grid."
        )
    chosen = Chosen.of(prediction, None)
    union = chosen.mask()
    found = regions(union)
    if not found:
        return
    middle, spread = colour_spread(image)
    spread = np.maximum(spread, max(SMALLEST, 1e-3 * float(spread.max())))
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
    spacing = np.array(geometry.spacing)
    points = np.argwhere(region.mask) * spacing
    # a sample is a box, not a point
    moments = points - points.mean(axis=0)
    covariance = moments.T @ moments / len(points) + np.diag(spacing**2 / 12)
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


def _colour(
    region: Region, union: np.ndarray, image: Image, middle: np.ndarray, spread: np.ndarray
) -> dict[str, float]:
    wide = [max(2, round(0.15 * diameter(region.size, union.ndim)))] * union.ndim
    box, mask = region.around([n + 1 for n in wide], union.shape)
    axes = colour_axes(image, box)
    inside = axes[:, mask].astype(np.float64)
    ring = touching(mask, wide) & ~union[box]
    around = axes[:, ring].astype(np.float64) if ring.any() else inside
    features: dict[str, float] = {}
    for i in range(len(axes)):
        tone, around_tone = inside[i].mean(), around[i].mean()
        own, other = (values[i].std() / spread[i] + 0.02 for values in (inside, around))
        features |= {
            f"tone_{i}": (tone - middle[i]) / spread[i],
            f"contrast_{i}": (tone - around_tone) / spread[i],
            f"spread_{i}": math.log(own),
            f"uniformity_{i}": math.log(own / other),
            f"image_tone_{i}": middle[i] / spread[0],
        }
        if i:
            features[f"image_spread_{i}"] = math.log(spread[i] / spread[0])
    return {name: float(value) for name, value in features.items()}


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
