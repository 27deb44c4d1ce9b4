"""Flip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delineate.arguments import Axis, Fraction
from delineate.core import LabelSet
from delineate.prepare.augment._part import Augmentation, Warp
from delineate.prepare.augment._range import axis_of


def flip(
    axes: tuple[Axis, ...] | None = None,
    p: Fraction = 0.5,
    swap: tuple[tuple[str, str], ...] = (),
    swap_axis: Axis = -1,
    *,
    labels: LabelSet | None = None,
) -> Augmentation:
    """Flip along each axis with probability `p`.

    A scan flipped from left to right shows a left kidney on the right: `swap` such pairs. Flips with pairs come
    before every other augmentation that moves samples, so that the axis is still the patient's.

    Args:
        axes: axes of the array that may be flipped, 0 the first and -1 the last; None is all of them.
        p: probability, for each axis on its own.
        swap: pairs of labels that change places, as in [[left kidney, right kidney]].
        swap_axis: the axis that runs from left to right; only a flip along it swaps.
        labels: given by the program.
    """
    if swap and labels is None:
        raise ValueError("flip: to swap labels their set is needed.")
    known = {label.name: label.value for label in labels.labels} if labels else {}
    for name in (name for pair in swap for name in pair):
        if name not in known:
            raise ValueError(f"flip: swap names {name!r}; the labels are {', '.join(known)}.")
    named = [name for pair in swap for name in pair]
    if len(set(named)) != len(named):
        raise ValueError(f"flip: a label stands twice in swap: {[list(pair) for pair in swap]}.")
    pairs = tuple((known[a], known[b]) for a, b in swap)
    return _Flip(axes, p, pairs, swap_axis)


@dataclass(frozen=True)
class _Flip:
    axes: tuple[int, ...] | None
    p: float
    swap: tuple[tuple[int, int], ...]
    swap_axis: int

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Warp | None:
        ndim = len(shape)
        axes = range(ndim) if self.axes is None else [axis_of("flip", a, ndim) for a in self.axes]
        flipped = [axis for axis in axes if rng.random() < self.p]
        if not flipped:
            return None
        matrix = np.eye(ndim + 1)
        for axis in flipped:
            matrix[axis, axis], matrix[axis, -1] = -1, shape[axis] - 1
        return Warp(
            matrix, swap=self.swap if axis_of("flip", self.swap_axis, ndim) in flipped else ()
        )
