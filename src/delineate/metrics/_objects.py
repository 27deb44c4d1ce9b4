"""The objects of a segmentation: one by one, or numbered in one map."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects

if TYPE_CHECKING:
    from delineate.core import Instance, Label, Segmentation


def objects(segmentation: Segmentation, label: Label) -> list[Instance]:
    """The objects of one label: its instances, or where it has none what its mask says.

    A mask of a thing falls into connected components (corners connect), a mask of stuff is one object. They are as
    sure as the mean probability of the label inside, or 1 where no probabilities are kept.
    """
    from delineate.core import Instance  # made here alone

    known = [one for one in segmentation.instances if one.label == label.name]
    if known:
        return known
    numbers = segments(segmentation, (label,)).numbers
    found = []
    for number, box in enumerate(find_objects(numbers), start=1):
        mask = numbers[box] == number
        start = tuple(side.start for side in box)
        found.append(
            Instance(label.name, _sureness(segmentation, label.name, box, mask), mask, start)
        )
    return found


def _sureness(
    segmentation: Segmentation, name: str, box: tuple[slice, ...], mask: np.ndarray
) -> float:
    if segmentation.probabilities is None:
        return 1.0
    channel = 1 + segmentation.labels.names.index(name)
    return float(segmentation.probabilities[channel][box][mask].mean(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Segments:
    """Objects that exclude each other.

    numbers: (*spatial), unsigned: the object of each sample; 0 is none.
    places: (1 + object,), the place of each object's label among the labels; -1 for none.
    crowd: (1 + object,), whether it is a region of many.
    """

    numbers: np.ndarray
    places: np.ndarray
    crowd: np.ndarray


def segments(
    segmentation: Segmentation, labels: Iterable[Label], *, faces: bool = False
) -> Segments:
    """Number the objects of `labels`, whose kinds say what is counted; `faces`: corners do not connect.

    The labels exclude each other: of those that overlap, the last alone would be left.

    Where instances overlap, a sample is of the one with the highest score, among equals of the first; of a crowd only
    where nothing else is.
    """
    from delineate.components import numbered  # loads cc3d, which not all need

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
    """The map in the least type for so many numbers: small maps are quick to count."""
    return numbers.astype(np.min_scalar_type(count), copy=False)


def _precedence(instance: Instance, i: int) -> tuple[bool, float, int]:
    """Of two that overlap, the greater is drawn last."""
    return not instance.crowd, instance.score, -i
