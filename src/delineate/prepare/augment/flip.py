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
    swap: tuple[tuple[str, str], ...] | None = None,
    swap_axis: Axis = -1,
    *,
    labels: LabelSet | None = None,
) -> Augmentation:
    """Flip along each axis with probability `p`.

    A scan flipped from left to right shows the left kidney where a right one belongs: `swap` such pairs. A label then
    says on which side of the image its organ lies. So a flip along another axis swaps nothing, nor does a rotation by
    less than 90 degrees. Flips with pairs come before every other augmentation that moves samples, so that the axis
    is still the patient's.

    Args:
        axes: axes of the array that may be flipped, 0 the first and -1 the last; None is all of them.
        p: probability, for each axis on its own.
        swap: pairs of labels that change places, as in [[left_kidney, right_kidney]]. Where the names of labels come
            in such pairs and the left-right axis is flipped, it must be given: [] keeps every label, for organs that
            differ in more than their side, such as the ventricles of the heart.
        swap_axis: the axis that runs from left to right; only a flip along it swaps.
        labels: given by the program.
    """
    if swap and labels is None:
        raise ValueError("flip: to swap labels their set is needed.")
    if not swap or labels is None:
        return _Flip(axes, p, (), swap_axis)
    try:
        labels.partners(swap)
    except ValueError as error:
        raise ValueError(f"flip: {error}") from error
    value = {label.name: label.value for label in labels.labels}
    return _Flip(axes, p, tuple((value[a], value[b]) for a, b in swap), swap_axis)


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
