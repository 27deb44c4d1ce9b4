"""What is where: truth and prediction alike."""

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
    crowd: in a truth, a region of many objects that were not drawn one by one: a finding there is neither
        right nor wrong.
    """

    label: str
    score: float
    mask: np.ndarray
    start: tuple[int, ...]
    crowd: bool = False

    @property
    def box(self) -> tuple[slice, ...]:
        """Where the mask lies in the whole grid."""
        return tuple(slice(s, s + n) for s, n in zip(self.start, self.mask.shape, strict=True))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map on a grid, with what else is known of it.

    classes: (*spatial), unsigned integers; 0 is background, the rest are values of `labels`.
    instances: objects one by one, where they are known.
    scores: image-level scores by name ("presence of polyp": 0.93).
    present: image-level labels by name: whether the image shows the label, as the data say of a truth and the task
        decides of a prediction; None where that is not known. A label not named here is read from the label map.
    outlined: False where only image-level labels are known: the label map is empty and says nothing.
    probabilities: (1 + label, *spatial) float32, background first, then `labels` in order; kept only when asked. They
        sum to 1 where labels exclude each other; where they overlap each is its own.
    unlike_training: of a prediction, how its image differs from the images the model was trained on, in words; empty
        where it does not, or where nothing is known of them.
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
                "nothing is outlined, but the label map or the instances say otherwise."
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
        """Where `name` is, with what it includes: boolean, (*spatial)."""
        return self.labels.mask(name, self.classes)

    def shows(self, name: str) -> bool | None:
        """Whether the image shows `name`: as `present` says, else by the label map; None where it is not known."""
        if name in self.present:
            return self.present[name]
        return bool(self.mask(name).any()) if self.outlined else None

    def changed(self, classes: np.ndarray) -> Segmentation:
        """The segmentation with another label map, and all that is known of it made to agree.

        Instances lose the samples that are no longer their label's; those left with none go. Where the map changed,
        probabilities become certain of it; elsewhere they stay.
        """
        found = replace(self, classes=classes)
        where = np.flatnonzero(classes != self.classes)
        if not where.size:
            return found
        kept = []
        for instance in self.instances:
            mask = instance.mask & found.labels.mask(instance.label, classes[instance.box])
            if mask.any():
                kept.append(replace(instance, mask=mask))
        maps = self.probabilities
        if maps is not None:
            maps = np.array(maps, order="C")
            now = classes.ravel()[where]
            certain = maps.reshape(len(maps), -1)  # a view: what is written here is in `maps`
            certain[0, where] = 1
            for channel, name in enumerate(self.labels.names, start=1):
                there = np.isin(now, self.labels.values_of(name))
                certain[channel, where] = there
                certain[0, where[there]] = 0
        return replace(found, instances=tuple(kept), probabilities=maps)

    @property
    def valid(self) -> np.ndarray | None:
        """Where the label map may be learnt from and judged: boolean, or None if that is everywhere."""
        ignored = self.labels.ignored
        if not ignored:
            return None
        found = np.zeros(self.classes.shape, bool)
        for value in ignored:  # np.isin takes 8 bytes a sample
            found |= self.classes == value
        return None if not found.any() else ~found
