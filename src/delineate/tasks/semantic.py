"""Every sample has one label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Geometry, LabelSet, Output, Probabilities, Segmentation, Target


def semantic(labels: LabelSet, threshold: FractionBetween | None = None) -> Semantic:
    """Each sample is background or one label: sigmoid for a single label, softmax for several.

    Channels are ordered background, then labels as the recipe lists them; a single label has one channel. Of a label
    that includes others, the channel is what is left of it without them.

    Args:
        labels: the labels of the problem.
        threshold: a sample is foreground where all labels together reach this probability, in (0, 1), and the
            likeliest label takes it; lower finds more. None takes whatever is likeliest, which for one label
            is above 0.5.
    """
    if threshold is not None and not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; expected a number between 0 and 1.")
    return Semantic(labels, threshold)


@dataclass(frozen=True)
class Semantic:
    """The codec behind `semantic`."""

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
            ValueError: nothing is outlined in the truth; it has image-level labels only.
        """
        if not truth.outlined:
            raise ValueError(
                "the truth has image-level labels only, and nothing is outlined; the task semantic learns from masks."
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
            return Probabilities(_sigmoid(logits), (0.0,))
        return Probabilities(_softmax(logits), (1.0, *[0.0] * len(self.labels)))

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """Each sample takes the likeliest, background at a draw; or as `threshold` says.

        A label that includes others is as probable as it and all of them together.
        """
        maps = probabilities.maps
        assert maps is not None  # `read` gave them
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
        """The value of what each sample is."""
        dtype = np.min_scalar_type(max(self.labels.values))
        if len(maps) == 2:
            foreground = maps[1] > 0.5 if self.threshold is None else maps[1] >= self.threshold
            return np.asarray(foreground * np.array(self.labels.values[0], dtype))
        classes = np.zeros(maps.shape[1:], dtype)
        if self.threshold is None:
            most = maps[0].copy()  # of equal ones the first, background before all
        else:
            most = np.where(1 - maps[0] >= self.threshold, np.float32(-1), np.inf)
        for value, share in zip(self.labels.values, maps[1:], strict=True):
            classes[share > most] = value
            np.maximum(most, share, out=most)
        return classes


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * logits)  # does not overflow, unlike 1 / (1 + exp(-x))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    return np.asarray(powers / powers.sum(axis=0, keepdims=True))
