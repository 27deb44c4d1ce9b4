"""Whether an image shows each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Geometry, LabelSet, Output, Probabilities, Segmentation, Target
from delineate.core.scores import PRESENCE


def presence(labels: LabelSet, threshold: FractionBetween = 0.5) -> Presence:
    """Image-level labels: whether the image shows each of them, by a sigmoid of its own; nothing is outlined.

    The truth is what the data say of an image, or else whether its mask holds the label.

    Args:
        labels: the labels of the problem.
        threshold: an image shows a label where its probability is at least this, in (0, 1).
    """
    return Presence(labels, threshold)


@dataclass(frozen=True)
class Presence:
    """The codec behind `presence`."""

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
        """1 where the image shows a label, else 0; NaN where the data say that it is not known."""
        shown = [truth.shows(name) for name in self.labels.names]
        return Target(image=np.array([np.nan if s is None else s for s in shown], np.float32))

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """A sigmoid per label.

        Raises:
            ValueError: the output is not a batch of one with a logit per label.
        """
        expected = (1, len(self.labels))
        if output.image_logits.shape != expected:
            raise ValueError(
                f"image-level logits have shape {output.image_logits.shape}; expected {expected}."
            )
        found = 0.5 + 0.5 * np.tanh(0.5 * output.image_logits[0].astype(np.float64))
        return Probabilities(image=dict(zip(self.labels.names, map(float, found), strict=True)))

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """Which labels the image shows, with the probability of each among the scores; nothing is outlined."""
        return Segmentation(
            np.zeros(geometry.shape, np.min_scalar_type(max(self.labels.values))),
            self.labels,
            geometry,
            scores={PRESENCE.format(label=name): p for name, p in probabilities.image.items()},
            present={name: p >= self.threshold for name, p in probabilities.image.items()},
            outlined=False,
        )
