"""A truth as integer maps, which can be moved, cut and kept like pixels; and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from delineate.core import Geometry, Instance, LabelSet, Segmentation
from delineate.prepare._resample import linear_weights, majority

Resample = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
"""(channel, *spatial) onto another shape of the same extent."""

Cut = tuple[tuple[int, ...], np.ndarray]
"""The index of its first sample, and a boolean mask cut to its box."""


@dataclass(frozen=True)
class Object:
    """What is known of an instance beside its mask."""

    label: str
    score: float
    crowd: bool


@dataclass(frozen=True, eq=False)
class Layers:
    """A truth as integer maps on one grid: the label map, and the objects by number.

    classes: (*spatial), the label map.
    labels: what its values mean.
    numbers: (layer, *spatial), unsigned; a sample is 0, or the number of an object, counted from 1 in the order of
        `objects`. Objects that overlap are in different layers. None where there is no object.
    objects: label, score and crowd of each object.
    present, scores, outlined: as in `Segmentation`.
    """

    classes: np.ndarray
    labels: LabelSet
    numbers: np.ndarray | None = None
    objects: tuple[Object, ...] = ()
    present: Mapping[str, bool | None] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    outlined: bool = True

    @classmethod
    def of(cls, truth: Segmentation) -> Layers:
        """A segmentation without its geometry and probabilities; objects that do not overlap share a layer."""
        return cls(
            truth.classes,
            truth.labels,
            _packed([(i.start, i.mask) for i in truth.instances], truth.classes.shape),
            tuple(Object(i.label, i.score, i.crowd) for i in truth.instances),
            truth.present,
            truth.scores,
            truth.outlined,
        )

    def segmentation(self, geometry: Geometry | None = None) -> Segmentation:
        """The segmentation; objects that have no sample left are not in it.

        geometry: where the maps lie; left out, it is a grid in pixels.
        """
        cuts = {} if self.numbers is None else _cuts(self.numbers)
        instances = []
        for number, (_, start, mask) in sorted(cuts.items()):
            known = self.objects[number - 1]
            instances.append(Instance(known.label, known.score, mask, start, known.crowd))
        return Segmentation(
            self.classes,
            self.labels,
            Geometry.in_pixels(self.classes.shape) if geometry is None else geometry,
            tuple(instances),
            self.scores,
            self.present,
            self.outlined,
        )

    def moved(self, move: Callable[[np.ndarray, Resample], np.ndarray]) -> Layers:
        """All maps moved alike.

        move: takes maps (channel, *spatial), and the way in which they are to be resampled.
        """
        classes = move(self.classes[None], majority)[0]
        numbers = None if self.numbers is None else move(self.numbers, self._resampled)
        return replace(self, classes=classes, numbers=numbers)

    def _resampled(self, numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The objects on another shape: of each label together they cover what the majority of their union covers.

        An object keeps the samples of which it takes more than half. A sample of the union of which no object takes
        that much goes to the one that takes most, so that no gap opens between objects that touch.
        """
        old = numbers.shape[1:]
        if old == shape:
            return numbers
        cuts = _cuts(numbers)
        found: dict[int, Cut] = {}
        for label in dict.fromkeys(self.objects[number - 1].label for number in cuts):
            mine = {n: cut for n, cut in cuts.items() if self.objects[n - 1].label == label}
            union = np.zeros(old, np.uint8)
            for _, start, mask in mine.values():
                union[_box(start, mask.shape)] |= mask
            inside = majority(union[None], shape)[0] > 0
            taken = np.zeros(shape, bool)
            most = np.zeros(shape, np.float32)
            nearest = np.zeros(shape, numbers.dtype)
            for number, (_, start, mask) in mine.items():
                start, share = _share(mask, start, old, shape)
                box = _box(start, share.shape)
                found[number] = start, (share > 0.5) & inside[box]
                taken[box] |= found[number][1]
                nearest[box][share > most[box]] = number
                np.maximum(most[box], share, out=most[box])
            nearest[taken | ~inside] = 0
            for number in mine:
                start, mask = found[number]
                mask |= nearest[_box(start, mask.shape)] == number
        most_of = max(cuts, default=0)
        nothing: Cut = (0,) * len(shape), np.zeros((0,) * len(shape), bool)
        packed = _packed([found.get(n, nothing) for n in range(1, most_of + 1)], shape)
        return np.zeros((1, *shape), numbers.dtype) if packed is None else packed


def _packed(cuts: Sequence[Cut], shape: tuple[int, ...]) -> np.ndarray | None:
    """(layer, *shape): each object by its number, in the first layer where it overlaps no other; None of no object."""
    layers: list[np.ndarray] = []
    for number, (start, mask) in enumerate(cuts, start=1):
        if not mask.any():
            continue
        box = _box(start, mask.shape)
        layer = next((layer for layer in layers if not layer[box][mask].any()), None)
        if layer is None:
            layer = np.zeros(shape, np.min_scalar_type(len(cuts)))
            layers.append(layer)
        layer[box][mask] = number
    return np.stack(layers) if layers else None


def _cuts(numbers: np.ndarray) -> dict[int, tuple[int, tuple[int, ...], np.ndarray]]:
    """The layer, the start and the mask of each object that has a sample, by its number."""
    found = {}
    for place, layer in enumerate(numbers):
        for number, box in enumerate(ndimage.find_objects(layer), start=1):
            if box is not None:
                found[number] = place, tuple(side.start for side in box), layer[box] == number
    return found


def _box(start: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))


def _share(
    mask: np.ndarray, start: Sequence[int], old: tuple[int, ...], new: tuple[int, ...]
) -> tuple[tuple[int, ...], np.ndarray]:
    """How much of each new sample an object takes, where it takes any, and the index of the first of these samples.

    The same as `linear` of the whole mask in floats, at the cost of the object's box.
    """
    share = mask.astype(np.float32)
    first = []
    for axis, (begin, before, after) in enumerate(zip(start, old, new, strict=True)):
        if before == after:
            first.append(begin)
            continue
        end, step = begin + mask.shape[axis], before / after
        reach = max(step, 1.0) - 0.5
        low = max(0, math.floor((begin - reach) / step - 0.5))
        high = min(after, math.ceil((end + reach) / step - 0.5) + 1)
        moved = np.moveaxis(share, axis, 0)
        rows = linear_weights(before, after)[low:high, begin:end] @ moved.reshape(len(moved), -1)
        share = np.moveaxis(rows.reshape(-1, *moved.shape[1:]), 0, axis)
        first.append(low)
    return tuple(first), share
