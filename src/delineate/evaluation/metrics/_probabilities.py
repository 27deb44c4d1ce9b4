"""The probabilities of a finding beside its truth, label by label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from delineate.evaluation.metrics._pair import remembered, same_layout

if TYPE_CHECKING:
    from delineate.core import Label, Segmentation

SLACK = 1e-3
"""How far beyond 0 and 1 interpolation and half precision may carry a probability."""

CHUNK = 2**20
"""Samples looked at together: memory stays bounded, and they stay near the processor."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The judged samples of one label, to be run through as often as needed.

    probability: of the label, (*spatial). truth: says where the label is. where: what is judged; None is everywhere.

    Each step gives its probability (sample,) float32 and whether it is there (sample,) bool, for up to `CHUNK` samples.
    """

    probability: np.ndarray
    truth: Segmentation
    name: str
    where: np.ndarray | None

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in parts(self.truth.classes.shape):
            there = self.truth.labels.mask(self.name, self.truth.classes[part])
            probability = in_range(self.probability[part])
            if self.where is None:
                yield probability.ravel(), there.ravel()
            elif (where := self.where[part]).any():
                yield probability[where], there[where]

    def __len__(self) -> int:
        return self.truth.classes.size if self.where is None else int(np.count_nonzero(self.where))


def probabilities(
    prediction: Segmentation, truth: Segmentation, where: np.ndarray | None = None
) -> Iterator[tuple[Label, Samples]]:
    """Each label of the truth with its samples: those of `where`, or all that the truth does not ignore.

    Labels are matched by name. `where` (*spatial) is on the grid of `same_layout`.

    Raises:
        ValueError: grids or names of labels differ, or `found` has no probabilities that could be such.
    """
    prediction, truth = same_layout(prediction, truth)
    values = checked(prediction)
    where = truth.valid if where is None else where
    for label in truth.labels:
        channel = values[1 + prediction.labels.names.index(label.name)]
        yield label, Samples(channel, truth, label.name, where)


@remembered  # every metric of probabilities asks for the same
def checked(prediction: Segmentation) -> np.ndarray:
    """The probabilities of a finding, (1 + label, *spatial); `in_range` makes them float32 in [0, 1].

    Raises:
        ValueError: it has none, or they are no probabilities.
    """
    if prediction.probabilities is None:
        raise ValueError(
            "this metric needs probabilities, and the finding has none: it is judged where a model predicts "
            "and keeps them, not where masks alone are read."
        )
    low, high = prediction.probabilities.min(), prediction.probabilities.max()
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise ValueError(
            f"the probabilities reach from {low:.4g} to {high:.4g}; expected 0 to 1. Are they logits?"
        )
    return prediction.probabilities


def in_range(probability: np.ndarray) -> np.ndarray:
    """Some probabilities as float32 in [0, 1]."""
    return probability.astype(np.float32, copy=False).clip(0, 1)


def parts(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """The grid in parts of up to `CHUNK` samples, along its first axis, and its second where rows are long."""
    rest = int(np.prod(shape[1:]))
    if rest > CHUNK and len(shape) > 1:
        for i in range(shape[0]):
            yield from ((slice(i, i + 1), *inner) for inner in parts(shape[1:]))
        return
    step = max(1, CHUNK // rest)
    for start in range(0, shape[0], step):
        yield (slice(start, start + step),)
