"""Convert a truth to integer maps, which can be resampled, cropped and cached like pixels, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from delineate.core import Geometry, Instance, LabelSet, Segmentation
from delineate.prepare._resample import linear_weights, majority

Resample = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
"""(channel, *spatial), shape -> the same extent at another shape."""

Cut = tuple[tuple[int, ...], np.ndarray]
"""The index of an object's first sample, and its boolean mask cropped to its box."""


@dataclass(frozen=True)
class Object:
    """The fields of an instance without its mask."""

    label: str
    score: float
    crowd: bool


@dataclass(frozen=True, eq=False)
class Layers:
    """A truth as integer maps on one grid: the label map, and maps of object numbers.

    classes: (*spatial), the label map.
    labels: the labels of its values.
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
        """The layers of a segmentation, without geometry and probabilities. Each layer has objects without overlap."""
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
        """The segmentation of these maps, without objects that have no sample left.

        geometry: the grid of the maps; by default a grid in pixels.
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
        """Apply the same spatial transform to all maps.

        move: the transform; it takes maps (channel, *spatial) and the function that resamples them.
        """
        classes = move(self.classes[None], majority)[0]
        numbers = None if self.numbers is None else move(self.numbers, self._resampled)
        return replace(self, classes=classes, numbers=numbers)

    def _resampled(self, numbers: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Resample the objects; the objects of one label together cover the same samples as their resampled union.

        An object gets the samples of which it covers more than half. A sample of the union that no object covers by
        half goes to the object that covers most of it, so that no gap opens between touching objects.
        """
        old = numbers.shape[1:]
        if old == shape:
            return numbers
        cuts = _cuts(numbers)
        resampled: dict[int, Cut] = {}
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
                resampled[number] = start, (share > 0.5) & inside[box]
                taken[box] |= resampled[number][1]
                nearest[box][share > most[box]] = number
                np.maximum(most[box], share, out=most[box])
            nearest[taken | ~inside] = 0
            for number in mine:
                start, mask = resampled[number]
                mask |= nearest[_box(start, mask.shape)] == number
        most_of = max(cuts, default=0)
        nothing: Cut = (0,) * len(shape), np.zeros((0,) * len(shape), bool)
        packed = _packed([resampled.get(n, nothing) for n in range(1, most_of + 1)], shape)
        return np.zeros((1, *shape), numbers.dtype) if packed is None else packed


def _packed(cuts: Sequence[Cut], shape: tuple[int, ...]) -> np.ndarray | None:
    """(layer, *shape): object numbers, each object in the first layer without overlap; None without objects."""
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
    """Number -> layer, start and mask of each object with at least one sample."""
    cuts = {}
    for place, layer in enumerate(numbers):
        for number, box in enumerate(ndimage.find_objects(layer), start=1):
            if box is not None:
                cuts[number] = place, tuple(side.start for side in box), layer[box] == number
    return cuts


def _box(start: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))


def _share(
    mask: np.ndarray, start: Sequence[int], old: tuple[int, ...], new: tuple[int, ...]
) -> tuple[tuple[int, ...], np.ndarray]:
    """The fraction of each new sample that an object covers, cropped to a box, and the index of its first sample.

    The result equals `linear` of the whole mask in floats, but only the object's box is computed.
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
