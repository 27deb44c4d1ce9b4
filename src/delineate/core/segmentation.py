"""A segmentation: a truth or a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from delineate.core.geometry import Geometry
from delineate.core.labels import LabelSet


@dataclass(frozen=True, eq=False)
class Instance:
    """One object: its label, a score in [0, 1], and a boolean mask cut to its box.

    start: index of the mask's first sample in the whole grid. Instances may overlap.
    crowd: in a truth, a region of many objects that were not annotated one by one (COCO's iscrowd): a predicted
        object inside it counts neither as true nor as false positive.
    """

    label: str
    score: float
    mask: np.ndarray
    start: tuple[int, ...]
    crowd: bool = False

    @property
    def box(self) -> tuple[slice, ...]:
        """The slices of the whole grid that the mask covers."""
        return tuple(slice(s, s + n) for s, n in zip(self.start, self.mask.shape, strict=True))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map on a grid, with instances, image-level labels, scores and probabilities where they are known.

    classes: (*spatial), unsigned integers; 0 is background, the rest are values of `labels`.
    instances: the single objects, where they are known.
    scores: image-level scores by name ("presence of polyp": 0.93).
    present: image-level labels by name: True if the image shows the label, None if unknown. In a truth they come from
        the data, in a prediction from the task. A label that is not listed is read from the label map.
    outlined: False if only image-level labels are known. The label map is then empty and carries no information.
    probabilities: (1 + label, *spatial) float32, background first, then `labels` in order; kept on request only. They
        sum to 1 where labels exclude each other; overlapping labels have independent probabilities.
    unlike_training: for a prediction, how its image differs from the training images of the model, one description
        each; empty if it does not differ, or if nothing is known of the training images.
    """

    classes: np.ndarray
    labels: LabelSet
    geometry: Geometry
    instances: tuple[Instance, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    present: Mapping[str, bool | None] = field(default_factory=dict)
    outlined: bool = True
    probabilities: np.ndarray | None = None
    unlike_training: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.classes.shape != self.geometry.shape:
            raise ValueError(
                f"label map has shape {self.classes.shape}, its geometry {self.geometry.shape}."
            )
        if self.classes.dtype.kind not in "ub":
            raise ValueError(f"label map is {self.classes.dtype}; expected unsigned integers.")
        expected = (1 + len(self.labels), *self.classes.shape)
        if not self.outlined and (self.classes.any() or self.instances):
            raise ValueError(
                "outlined is False, but the label map or the instances are not empty; give outlined=True."
            )
        unknown = [name for name in self.present if name not in self.labels.names]
        if unknown:
            raise ValueError(
                f"present names {unknown[0]!r}; expected labels of {', '.join(self.labels.names)}."
            )
        if self.probabilities is not None and self.probabilities.shape != expected:
            raise ValueError(
                f"probabilities have shape {self.probabilities.shape}; expected {expected}."
            )

    def mask(self, name: str) -> np.ndarray:
        """Mask of `name` and the labels it includes: boolean, (*spatial).

        Raises:
            ValueError: only image-level labels are known; an empty mask would say that there is nothing.
        """
        if not self.outlined:
            raise ValueError(
                f"only image-level labels are known, so there is no mask of {name!r}. Use `shows` and `scores`."
            )
        return self.labels.mask(name, self.classes)

    def shows(self, name: str) -> bool | None:
        """Whether the image shows `name`: by `present`, else by the label map; None if unknown."""
        if name in self.present:
            return self.present[name]
        return bool(self.mask(name).any()) if self.outlined else None

    def changed(self, classes: np.ndarray) -> Segmentation:
        """The segmentation with another label map; instances and probabilities are changed to agree with it.

        An instance loses the samples that no longer have its label, and is removed if it has no sample left.
        Probabilities become 0 or 1 where the label map changed, and are kept elsewhere.
        """
        result = replace(self, classes=classes)
        where = np.flatnonzero(classes != self.classes)
        if not where.size:
            return result
        kept = []
        for instance in self.instances:
            mask = instance.mask & result.labels.mask(instance.label, classes[instance.box])
            if mask.any():
                kept.append(replace(instance, mask=mask))
        maps = self.probabilities
        if maps is not None:
            maps = np.array(maps, order="C")
            now = classes.ravel()[where]
            certain = maps.reshape(len(maps), -1)  # a view of `maps`
            certain[0, where] = 1
            for channel, name in enumerate(self.labels.names, start=1):
                inside = self.labels.mask(name, now)
                certain[channel, where] = inside
                certain[0, where[inside]] = 0
        return replace(result, instances=tuple(kept), probabilities=maps)

    @property
    def valid(self) -> np.ndarray | None:
        """Samples that count in training and evaluation: boolean, or None if all do."""
        ignored = self.labels.ignored
        if not ignored:
            return None
        excluded = np.zeros(self.classes.shape, bool)
        for value in ignored:  # np.isin needs 8 bytes per sample
            excluded |= self.classes == value
        return None if not excluded.any() else ~excluded
