"""The objects of a segmentation, as a list or as numbers in one map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects

if TYPE_CHECKING:
    from delineate.core import Instance, Label, Segmentation


def objects(segmentation: Segmentation, label: Label) -> list[Instance]:
    """The objects of one label: its instances, or else the objects of its mask.

    The mask of a thing is split into connected components (corners connect); the mask of stuff is one object. Their
    score is the mean probability of the label inside, or 1 without probabilities.
    """
    from delineate.core import Instance

    known = [one for one in segmentation.instances if one.label == label.name]
    if known:
        return known
    numbers = segments(segmentation, (label,)).numbers
    instances = []
    for number, box in enumerate(find_objects(numbers), start=1):
        mask = numbers[box] == number
        start = tuple(side.start for side in box)
        instances.append(
            Instance(label.name, _score(segmentation, label.name, box, mask), mask, start)
        )
    return instances


def _score(
    segmentation: Segmentation, name: str, box: tuple[slice, ...], mask: np.ndarray
) -> float:
    if segmentation.probabilities is None:
        return 1.0
    channel = 1 + segmentation.labels.names.index(name)
    return float(segmentation.probabilities[channel][box][mask].mean(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Segments:
    """Objects that exclude each other.

    numbers: (*spatial), unsigned: the number of the object at each sample; 0 for none.
    places: (1 + object,), the index of each object's label; -1 for none.
    crowd: (1 + object,), whether the object is a crowd.
    """

    numbers: np.ndarray
    places: np.ndarray
    crowd: np.ndarray


def segments(
    segmentation: Segmentation, labels: Iterable[Label], *, faces: bool = False
) -> Segments:
    """Number the objects of `labels`, by the kind of each label; with `faces`, corners do not connect.

    The labels must exclude each other: where they overlap, only the last would remain.

    Where instances overlap, a sample belongs to the one with the highest score, or the first among equal scores; a
    crowd has the lowest rank.
    """
    from delineate.components import numbered  # imports cc3d, which not every metric needs

    labels = list(labels)
    place = {label.name: i for i, label in enumerate(labels)}
    instances = [one for one in segmentation.instances if one.label in place]
    drawn = {one.label for one in instances}
    places = [-1]
    numbers = np.zeros(segmentation.classes.shape, np.uint8)
    for label in labels:
        if label.name in drawn:
            continue
        mask, before = segmentation.mask(label.name), len(places) - 1
        parts = numbered(mask, faces=faces) if label.kind == "thing" else mask
        places += [place[label.name]] * int(parts.max())
        numbers = _holding(numbers, len(places))
        if label.kind == "thing":
            np.copyto(numbers, parts.astype(numbers.dtype) + before, where=mask)
        else:
            np.copyto(numbers, 1 + before, where=mask)
    first = len(places)
    numbers = _holding(numbers, first + len(instances))
    for i in sorted(range(len(instances)), key=lambda i: _precedence(instances[i], i)):
        np.copyto(numbers[instances[i].box], first + i, where=instances[i].mask)
    places += [place[one.label] for one in instances]
    crowd = [False] * first + [one.crowd for one in instances]
    return Segments(numbers, np.array(places), np.array(crowd))


def _holding(numbers: np.ndarray, count: int) -> np.ndarray:
    """The map in the smallest integer type for `count` numbers, which is faster to count."""
    return numbers.astype(np.min_scalar_type(count), copy=False)


def _precedence(instance: Instance, i: int) -> tuple[bool, float, int]:
    """Sort key: of two instances that overlap, the greater is drawn last."""
    return not instance.crowd, instance.score, -i
