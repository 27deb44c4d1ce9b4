"""Semantic segmentation: each sample is background or one label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Geometry, LabelSet, Output, Probabilities, Segmentation, Target
from delineate.tasks._activations import sigmoid, softmax


def semantic(labels: LabelSet, threshold: FractionBetween | None = None) -> Semantic:
    """Semantic segmentation: each sample is background or one label. Sigmoid for one label, softmax for several.

    Channels are the background, then the labels in the recipe's order; a single label has one channel. The channel of
    a label that includes others stands for the rest of it, without these.

    Args:
        labels: the labels of the problem.
        threshold: a sample is foreground if the probabilities of all labels sum to at least this, in (0, 1), and then
            gets the most probable label; a lower value raises recall. By default, a sample gets the most probable
            class (argmax), which for one label means above 0.5.
    """
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; expected a number between 0 and 1.")
    return Semantic(labels, threshold)


@dataclass(frozen=True)
class Semantic:
    """The task that `semantic` returns."""

    labels: LabelSet
    threshold: float | None = None

    @property
    def heads(self) -> Mapping[str, int]:
        """One dense channel for a single label, else one per label and one for the background."""
        return {"dense": 1 if len(self.labels) == 1 else len(self.labels) + 1}

    @property
    def gives(self) -> frozenset[str]:
        """A label map and probabilities."""
        return frozenset({"classes", "probabilities"})

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """Label values become channel indices; ignored samples become background and invalid.

        Raises:
            ValueError: the truth has image-level labels only.
        """
        if not truth.outlined:
            raise ValueError(
                "the truth has image-level labels only; the task semantic needs masks."
            )
        index = np.zeros(max((0, *self.labels.values, *self.labels.ignored)) + 1, dtype=np.uint8)
        for channel, value in enumerate(self.labels.values, start=1):
            index[value] = channel
        return Target(index[truth.classes], truth.valid)

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """Sigmoid or softmax; a single label keeps its one channel.

        Raises:
            ValueError: the output is not a batch of one with this task's channels on this grid.
        """
        expected = (1, self.heads["dense"], *grid.shape)
        if output.logits.shape != expected:
            raise ValueError(f"logits have shape {output.logits.shape}; expected {expected}.")
        logits = output.logits[0].astype(np.float32, copy=False)
        if len(self.labels) == 1:
            return Probabilities(sigmoid(logits), (0.0,))
        return Probabilities(softmax(logits), (1.0, *[0.0] * len(self.labels)))

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """Each sample gets the most probable class, background in a tie; or see `threshold`.

        The probability of a label that includes others is the sum of its own and theirs.
        """
        maps = probabilities.maps
        assert maps is not None  # `read` always sets them
        if len(self.labels) == 1:
            both = np.empty((2, *maps.shape[1:]), np.float32)
            np.subtract(1, maps[0], out=both[0])
            both[1] = maps[0]
            maps = both
        classes = self._values(maps)
        if self.labels.overlap:
            names = self.labels.names
            alone, maps = maps, maps.copy()
            for channel, name in enumerate(names, start=1):
                for part in self.labels.parts(name):
                    maps[channel] += alone[1 + names.index(part)]
        return Segmentation(
            classes, self.labels, geometry, probabilities=np.ascontiguousarray(maps)
        )

    def _values(self, maps: np.ndarray) -> np.ndarray:
        """The label value of each sample."""
        dtype = np.min_scalar_type(max(self.labels.values))
        if len(maps) == 2:
            foreground = maps[1] > 0.5 if self.threshold is None else maps[1] >= self.threshold
            return np.asarray(foreground * np.array(self.labels.values[0], dtype))
        classes = np.zeros(maps.shape[1:], dtype)
        if self.threshold is None:
            most = maps[0].copy()  # in a tie the first class wins, background first
        else:
            most = np.where(1 - maps[0] >= self.threshold, np.float32(-1), np.inf)
        for value, share in zip(self.labels.values, maps[1:], strict=True):
            classes[share > most] = value
            np.maximum(most, share, out=most)
        return classes
