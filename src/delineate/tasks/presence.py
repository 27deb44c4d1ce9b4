"""Image-level classification: whether an image shows each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Geometry, LabelSet, Output, Probabilities, Segmentation, Target
from delineate.core.scores import PRESENCE


def presence(labels: LabelSet, threshold: FractionBetween = 0.5) -> Presence:
    """Image-level classification: whether the image shows each label, with one sigmoid per label and no mask.

    The truth is the image-level label in the data, or else whether the mask contains the label.

    Args:
        labels: the labels of the problem.
        threshold: an image shows a label if its probability is at least this, in (0, 1).
    """
    return Presence(labels, threshold)


@dataclass(frozen=True)
class Presence:
    """The task that `presence` returns."""

    labels: LabelSet
    threshold: float = 0.5

    @property
    def heads(self) -> Mapping[str, int]:
        """One image-level logit per label."""
        return {"image": len(self.labels)}

    @property
    def gives(self) -> frozenset[str]:
        """Image-level labels, and no label map."""
        return frozenset({"present"})

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """(label,): 1 if the image shows the label, 0 if not, NaN if unknown."""
        shown = [truth.shows(name) for name in self.labels.names]
        return Target(image=np.array([np.nan if s is None else s for s in shown], np.float32))

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """A sigmoid per label.

        Raises:
            ValueError: the output is not a batch of one with one logit per label.
        """
        expected = (1, len(self.labels))
        if output.image_logits.shape != expected:
            raise ValueError(
                f"image-level logits have shape {output.image_logits.shape}; expected {expected}."
            )
        values = 0.5 + 0.5 * np.tanh(0.5 * output.image_logits[0].astype(np.float64))
        return Probabilities(image=dict(zip(self.labels.names, map(float, values), strict=True)))

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """Which labels the image shows, with the probability of each in the scores; the label map is empty."""
        return Segmentation(
            np.zeros(geometry.shape, np.min_scalar_type(max(self.labels.values))),
            self.labels,
            geometry,
            scores={PRESENCE.format(label=name): p for name, p in probabilities.image.items()},
            present={name: p >= self.threshold for name, p in probabilities.image.items()},
            outlined=False,
        )
