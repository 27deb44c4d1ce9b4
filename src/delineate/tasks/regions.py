"""Region-based segmentation: labels that include others, as in nnU-Net and BraTS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Geometry, LabelSet, Output, Probabilities, Segmentation, Target
from delineate.tasks._activations import sigmoid


def regions(
    labels: LabelSet, threshold: FractionBetween = 0.5, order: list[str] | None = None
) -> Regions:
    """Segmentation of labels that may include others, such as the liver its tumours, with one sigmoid per label.

    The result is one label map. Labels are written into it in order, and a later label overwrites an earlier one
    (nnU-Net's regions_class_order).

    Args:
        labels: the labels of the problem, with what they include.
        threshold: a sample has a label if its probability is above this, in (0, 1).
        order: names of all labels in the order in which they are written; by default, labels that include others come
            first.
    """
    outer_first = [label.name for label in reversed(labels.inner_first)]
    order = outer_first if order is None else order
    if sorted(order) != sorted(labels.names):
        raise ValueError(f"order is {order}; expected each of {', '.join(labels.names)} once.")
    for name in labels.names:
        for part in labels[name].includes:
            if order.index(part) < order.index(name):
                raise ValueError(
                    f"order writes {name!r} over {part!r}, which it includes, so that {part!r} would be lost. "
                    f"Expected {part!r} after {name!r}."
                )
    return Regions(labels, threshold, tuple(order))


@dataclass(frozen=True)
class Regions:
    """The task that `regions` returns."""

    labels: LabelSet
    threshold: float
    order: tuple[str, ...]

    @property
    def heads(self) -> Mapping[str, int]:
        """One dense channel per label."""
        return {"dense": len(self.labels)}

    @property
    def gives(self) -> frozenset[str]:
        """A label map and probabilities; labels may overlap."""
        return frozenset({"classes", "probabilities"})

    def encode(self, truth: Segmentation) -> Target[np.ndarray]:
        """A binary map per label, which contains the labels that it includes.

        Raises:
            ValueError: the truth has image-level labels only.
        """
        if not truth.outlined:
            raise ValueError("the truth has image-level labels only; the task regions needs masks.")
        names = self.labels.names
        values = max((0, *self.labels.values, *self.labels.ignored)) + 1
        member = np.zeros((len(names), values), dtype=np.uint8)
        for channel, name in enumerate(names):
            member[channel, list(self.labels.values_of(name))] = 1
        return Target(regions=member[:, truth.classes], valid=truth.valid)

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """A sigmoid per label.

        Raises:
            ValueError: the output is not a batch of one with one channel per label on this grid.
        """
        expected = (1, len(self.labels), *grid.shape)
        if output.logits.shape != expected:
            raise ValueError(f"logits have shape {output.logits.shape}; expected {expected}.")
        logits = output.logits[0].astype(np.float32, copy=False)
        return Probabilities(sigmoid(logits), (0.0,) * len(self.labels))

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """Write the labels in order; the probability of a label is at least that of each label it includes."""
        maps = probabilities.maps
        assert maps is not None  # `read` always sets them
        names = self.labels.names
        kept = np.empty((1 + len(names), *geometry.shape), np.float32)
        kept[1:] = maps
        for label in self.labels.inner_first:
            here = kept[1 + names.index(label.name)]
            for part in label.includes:
                np.maximum(here, kept[1 + names.index(part)], out=here)
        kept[0] = 1 - kept[1:].max(axis=0)
        classes = np.zeros(geometry.shape, np.min_scalar_type(max(self.labels.values)))
        for name in self.order:
            classes[kept[1 + names.index(name)] > self.threshold] = self.labels[name].value
        return Segmentation(classes, self.labels, geometry, probabilities=kept)
