"""Labels that overlap: regions that are unions of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from delineate.arguments import FractionBetween
from delineate.core import Geometry, LabelSet, Output, Probabilities, Segmentation, Target


def regions(
    labels: LabelSet, threshold: FractionBetween = 0.5, order: list[str] | None = None
) -> Regions:
    """Each label is there or not, by a sigmoid of its own: labels may include others, as the liver its tumours.

    One map holds them all: labels are written into it one after the other, and where a later one lies over an earlier
    one the map has the value of the later, whose label the earlier one includes (nnU-Net's regions_class_order).

    Args:
        labels: the labels of the problem; `includes` says which are part of which.
        threshold: a sample has a label where its probability is larger, in (0, 1).
        order: names of the labels in the order in which they are written; those that include others come first if
            left out.
    """
    outer_first = [label.name for label in reversed(labels.inner_first)]
    order = outer_first if order is None else order
    if sorted(order) != sorted(labels.names):
        raise ValueError(f"order is {order}; expected each of {', '.join(labels.names)} once.")
    for name in labels.names:
        for part in labels[name].includes:
            if order.index(part) < order.index(name):
                raise ValueError(
                    f"order writes {name!r} over {part!r}, which is part of it and would be lost. "
                    f"Expected {part!r} after {name!r}."
                )
    return Regions(labels, threshold, tuple(order))


@dataclass(frozen=True)
class Regions:
    """The codec behind `regions`."""

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
        """A map of 0 and 1 per label, with what it includes.

        Raises:
            ValueError: nothing is outlined in the truth; it has image-level labels only.
        """
        if not truth.outlined:
            raise ValueError(
                "the truth has image-level labels only, and nothing is outlined; the task regions learns from masks."
            )
        names = self.labels.names
        values = max((0, *self.labels.values, *self.labels.ignored)) + 1
        member = np.zeros((len(names), values), dtype=np.uint8)
        for channel, name in enumerate(names):
            member[channel, list(self.labels.values_of(name))] = 1
        return Target(regions=member[:, truth.classes], valid=truth.valid)

    def read(self, output: Output[np.ndarray], grid: Geometry) -> Probabilities:
        """A sigmoid per label.

        Raises:
            ValueError: the output is not a batch of one with a channel per label on this grid.
        """
        expected = (1, len(self.labels), *grid.shape)
        if output.logits.shape != expected:
            raise ValueError(f"logits have shape {output.logits.shape}; expected {expected}.")
        logits = output.logits[0].astype(np.float32, copy=False)
        maps = 0.5 + 0.5 * np.tanh(0.5 * logits)  # does not overflow, unlike 1 / (1 + exp(-x))
        return Probabilities(maps, (0.0,) * len(maps))

    def decide(self, probabilities: Probabilities, geometry: Geometry) -> Segmentation:
        """The labels written in their order; a label is at least as probable as what it includes."""
        maps = probabilities.maps
        assert maps is not None  # `read` gave them
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
