"""Every pixel has one label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.core import Geometry, LabelSet, Output, Segmentation, Target


def semantic(labels: LabelSet) -> Semantic:
    """Each pixel is background or one label: sigmoid for a single label, softmax for several.

    Channels are ordered background, then labels as the recipe lists them; a single label has one channel.
    """
    return Semantic(labels)


@dataclass(frozen=True)
class Semantic:
    """The codec behind `semantic`."""

    labels: LabelSet

    @property
    def channels(self) -> int:
        """One for a single label, else one per label and one for the background."""
        return 1 if len(self.labels) == 1 else len(self.labels) + 1

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """Label values become channel indices; ignored pixels become background and invalid."""
        index = np.zeros(max((0, *self.labels.values, *self.labels.ignored)) + 1, dtype=np.uint8)
        for channel, value in enumerate(self.labels.values, start=1):
            index[value] = channel
        return Target(index[truth.classes], truth.valid)

    def decode(self, output: Output[np.ndarray], grid: Geometry) -> Segmentation:
        """Probabilities by sigmoid or softmax; each pixel takes the likeliest, background at a draw.

        Raises:
            ValueError: the output is not a batch of one with this task's channels on this grid.
        """
        expected = (1, self.channels, *grid.shape)
        if output.logits.shape != expected:
            raise ValueError(f"logits have shape {output.logits.shape}; expected {expected}.")
        logits = output.logits[0].astype(np.float32, copy=False)
        probabilities = _sigmoid(logits) if self.channels == 1 else _softmax(logits)
        values = np.array((0, *self.labels.values))
        values = values.astype(np.uint8 if values.max() < 256 else np.uint16)
        classes = values[probabilities.argmax(axis=0)]
        return Segmentation(classes, self.labels, grid, probabilities=probabilities)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    found = 0.5 + 0.5 * np.tanh(0.5 * logits)  # does not overflow, unlike 1 / (1 + exp(-x))
    return np.concatenate([1 - found, found])


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    return np.asarray(powers / powers.sum(axis=0, keepdims=True))
