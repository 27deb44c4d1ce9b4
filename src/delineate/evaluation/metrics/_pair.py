"""A finding and its truth, label by label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from delineate.core import Label, Segmentation


P = ParamSpec("P")
R = TypeVar("R")

_forgetting: list[Callable[[], None]] = []
"""What empties each of the memories."""


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what was last returned: segmentations hash by identity, and several metrics ask for the same pair.

    So a pair must not be changed in place while it is judged.
    """
    memory = lru_cache(maxsize=1)(function)
    _forgetting.append(memory.cache_clear)
    return memory  # type: ignore[return-value]


def forget() -> None:
    """Let go of the last pair, which with its probabilities may be large.

    What metrics have in common is worked out once for a pair, and kept. A pair must not be changed in place while it is
    judged; after this it may be.
    """
    for clear in _forgetting:
        clear()


def check_pair(prediction: Segmentation, truth: Segmentation) -> None:
    """Refuse a pair that cannot be compared.

    Raises:
        ValueError: grids or names of labels differ, or what a label includes.
    """
    differences = prediction.geometry.differences(truth.geometry)
    if differences:
        raise ValueError(
            f"prediction and truth lie on different grids: {'; '.join(differences)}. "
            "A finding is judged on the grid of its image."
        )
    names = truth.labels.names
    if set(prediction.labels.names) != set(names):
        raise ValueError(
            f"found has the labels {', '.join(prediction.labels.names)}, the truth {', '.join(names)}; "
            "the same names are needed on both sides."
        )
    if prediction.labels.overlap or truth.labels.overlap:
        for name in names:
            here, there = (sorted(s.labels.parts(name)) for s in (prediction, truth))
            if here != there:
                raise ValueError(
                    f"{name} includes {', '.join(here) or 'nothing'} in found and {', '.join(there) or 'nothing'} in "
                    "the truth; the same labels are needed on both sides."
                )


def same_layout(prediction: Segmentation, truth: Segmentation) -> tuple[Segmentation, Segmentation]:
    """The pair as it is judged: without an axis of one sample in 3D, and with its axes in the order of memory.

    A volume of one slice is a picture: an axis of one sample carries no surface and no neighbours. Where two or three
    axes have one sample, the one with the largest spacing is left out, so that two axes stay. Axes are in the order of
    memory of the probabilities, or of the truth where there are none; label maps that lie otherwise are copied. Metrics
    do not depend on the order of axes, but NumPy is several times slower against the order of memory, the usual
    one of NIfTI. Positions in the patient are left out. The pair itself is returned where there is nothing to change.

    Raises:
        ValueError: grids or names of labels differ.
    """
    check_pair(prediction, truth)
    axes = _axes(prediction, truth)
    contiguous = prediction.classes.flags.c_contiguous and truth.classes.flags.c_contiguous
    if contiguous and axes == tuple(range(truth.geometry.ndim)):
        return prediction, truth
    return _laid_out(prediction, truth)


@remembered
def _laid_out(prediction: Segmentation, truth: Segmentation) -> tuple[Segmentation, Segmentation]:
    axes = _axes(prediction, truth)
    return _with_axes(prediction, axes), _with_axes(truth, axes)


def _axes(prediction: Segmentation, truth: Segmentation) -> tuple[int, ...]:
    """The axes to keep, those with the largest stride first."""
    shape, spacing = truth.geometry.shape, truth.geometry.spacing
    kept = list(range(len(shape)))
    single = [axis for axis in kept if shape[axis] == 1]
    if len(shape) > 2 and single:
        kept.remove(max(single, key=lambda axis: spacing[axis]))
    lying = truth.classes if prediction.probabilities is None else prediction.probabilities[0]
    if lying.flags.c_contiguous:  # strides of axes of one sample say nothing
        return tuple(kept)
    return tuple(sorted(kept, key=lambda axis: -abs(lying.strides[axis])))


def _with_axes(segmentation: Segmentation, axes: Sequence[int]) -> Segmentation:
    geometry = segmentation.geometry
    dropped = [axis for axis in range(geometry.ndim) if axis not in axes]

    def turned(array: np.ndarray) -> np.ndarray:
        """A view of (..., *spatial) with these axes."""
        leading = array.ndim - geometry.ndim
        order = (*range(leading), *(leading + axis for axis in (*dropped, *axes)))
        turned = array.transpose(order)
        return turned[(slice(None),) * leading + (0,) * len(dropped)]

    values = segmentation.probabilities
    return replace(
        segmentation,
        classes=np.ascontiguousarray(turned(segmentation.classes)),
        geometry=replace(
            geometry,
            shape=tuple(geometry.shape[axis] for axis in axes),
            spacing=tuple(geometry.spacing[axis] for axis in axes),
            to_patient=None,
        ),
        instances=tuple(
            replace(one, mask=turned(one.mask), start=tuple(one.start[axis] for axis in axes))
            for one in segmentation.instances
        ),
        probabilities=None if values is None else turned(values),
    )


def masks(
    prediction: Segmentation, truth: Segmentation
) -> Iterator[tuple[Label, np.ndarray, np.ndarray]]:
    """Each label of the truth with its two masks, boolean (*spatial); what the truth ignores is in neither.

    Labels are matched by name, so the two may use different values.

    Raises:
        ValueError: grids or names of labels differ.
    """
    check_pair(prediction, truth)
    valid = truth.valid
    for label in truth.labels:
        here, there = prediction.mask(label.name), truth.mask(label.name)
        yield label, here if valid is None else here & valid, there
