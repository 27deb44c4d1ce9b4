"""A prediction and its truth in a common memory layout: their masks and probabilities, label by label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from delineate.core import Label, Segmentation

SLACK = 1e-3
"""How far a probability may lie outside 0 to 1, because of interpolation or half precision."""

CHUNK = 2**20
"""Samples processed at a time, to limit memory and to fit the CPU cache."""

P = ParamSpec("P")
R = TypeVar("R")

_cache_clears: list[Callable[[], None]] = []
"""Functions that empty the caches of `remembered`."""


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Cache the last result of a function, since several metrics need the same of one pair.

    Segmentations hash by identity, so a pair must not be changed in place while its metrics are computed.
    """
    cached = lru_cache(maxsize=1)(function)
    _cache_clears.append(cached.cache_clear)
    return cached  # type: ignore[return-value]


def forget() -> None:
    """Empty the caches of the metrics, which keep the last pair; with probabilities it may be large.

    Intermediate results that metrics share are computed once per pair and kept. Call this before changing a pair in
    place.
    """
    for clear in _cache_clears:
        clear()


def check_pair(prediction: Segmentation, truth: Segmentation) -> None:
    """Refuse a pair that cannot be compared.

    Raises:
        ValueError: grids, names of labels, or the labels that a label includes differ.
    """
    differences = prediction.geometry.differences(truth.geometry)
    if differences:
        raise ValueError(
            f"prediction and truth are on different grids: {'; '.join(differences)}. "
            "Bring the prediction to the grid of its image."
        )
    names = truth.labels.names
    if set(prediction.labels.names) != set(names):
        raise ValueError(
            f"the prediction has the labels {', '.join(prediction.labels.names)}, the truth {', '.join(names)}. "
            "Give both the same names."
        )
    if prediction.labels.overlap or truth.labels.overlap:
        for name in names:
            here, there = (sorted(s.labels.parts(name)) for s in (prediction, truth))
            if here != there:
                raise ValueError(
                    f"{name} includes {', '.join(here) or 'nothing'} in the prediction and "
                    f"{', '.join(there) or 'nothing'} in the truth. Give both the same labels."
                )


def same_layout(prediction: Segmentation, truth: Segmentation) -> tuple[Segmentation, Segmentation]:
    """The pair in the layout for metrics: without an axis of one sample in 3D, and with its axes in memory order.

    A volume of one slice is treated as 2D, since an axis of one sample has no surface and no neighbours. If several
    axes have one sample, only the one with the largest spacing is dropped, so that two axes remain. Axes are put in the
    memory order of the probabilities, or else of the truth; label maps in another order are copied. Metrics do not
    depend on the order of axes, but NumPy is several times slower if it is not the memory order, as is usual for NIfTI.
    Positions in the patient are dropped. A pair that needs no change is returned itself.

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
    if lying.flags.c_contiguous:  # the stride of an axis of one sample has no meaning
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
    """Each label of the truth with its two masks, boolean (*spatial), without samples that the truth ignores.

    Labels are matched by name, so the two may use different values.

    Raises:
        ValueError: grids or names of labels differ.
    """
    check_pair(prediction, truth)
    valid = truth.valid
    for label in truth.labels:
        here, there = prediction.mask(label.name), truth.mask(label.name)
        yield label, here if valid is None else here & valid, there


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of one label that count, as chunks; can be iterated repeatedly.

    probability: of the label, (*spatial). where: the samples that count, (*spatial); None for all.

    Each chunk has the probability (sample,) float32 and whether the label is there (sample,) bool, for up to `CHUNK`
    samples.
    """

    probability: np.ndarray
    truth: Segmentation
    name: str
    where: np.ndarray | None

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in parts(self.truth.classes.shape):
            there = self.truth.labels.mask(self.name, self.truth.classes[part])
            probability = in_range(self.probability[part])
            if self.where is None:
                yield probability.ravel(), there.ravel()
            elif (where := self.where[part]).any():
                yield probability[where], there[where]

    def __len__(self) -> int:
        return self.truth.classes.size if self.where is None else int(np.count_nonzero(self.where))


def probabilities(
    prediction: Segmentation, truth: Segmentation, where: np.ndarray | None = None
) -> Iterator[tuple[Label, Samples]]:
    """Each label of the truth with its samples: those of `where`, or all that the truth does not ignore.

    Labels are matched by name. `where` (*spatial) has the layout of `same_layout`.

    Raises:
        ValueError: grids or names of labels differ, or the prediction has no probabilities or invalid ones.
    """
    prediction, truth = same_layout(prediction, truth)
    values = checked(prediction)
    where = truth.valid if where is None else where
    for label in truth.labels:
        channel = values[1 + prediction.labels.names.index(label.name)]
        yield label, Samples(channel, truth, label.name, where)


@remembered  # every metric of probabilities needs it
def checked(prediction: Segmentation) -> np.ndarray:
    """The probabilities of a prediction, (1 + label, *spatial); `in_range` makes them float32 in [0, 1].

    Raises:
        ValueError: it has none, or they are outside 0 to 1.
    """
    if prediction.probabilities is None:
        raise ValueError(
            "this metric needs probabilities, and the prediction has none. Predict with keep_probabilities=True; "
            "masks from files have none."
        )
    low, high = prediction.probabilities.min(), prediction.probabilities.max()
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise ValueError(
            f"the probabilities go from {low:.4g} to {high:.4g}; expected 0 to 1. Are they logits?"
        )
    return prediction.probabilities


def in_range(probability: np.ndarray) -> np.ndarray:
    """Probabilities as float32, clipped to [0, 1]."""
    return probability.astype(np.float32, copy=False).clip(0, 1)


def parts(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """The grid in parts of up to `CHUNK` samples, along its first axis, and its second where rows are long."""
    rest = int(np.prod(shape[1:]))
    if rest > CHUNK and len(shape) > 1:
        for i in range(shape[0]):
            yield from ((slice(i, i + 1), *inner) for inner in parts(shape[1:]))
        return
    step = max(1, CHUNK // rest)
    for start in range(0, shape[0], step):
        yield (slice(start, start + step),)
