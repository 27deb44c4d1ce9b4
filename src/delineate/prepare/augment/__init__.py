"""Seeded random augmentation of pixels and truth together. One augmentation per file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from delineate.core import LabelSet
from delineate.prepare._layers import Layers
from delineate.prepare.augment._colour import recolour
from delineate.prepare.augment._part import Augmentation, Curve, Filter, Mix, Warp
from delineate.prepare.augment._warp import warp
from delineate.resolve import Call, build

__all__ = [
    "Augment",
    "Augmentation",
    "Curve",
    "Filter",
    "Mix",
    "Warp",
    "case_rng",
    "load_augment",
]

_DTYPES = (np.uint8, np.uint16, np.float32)


def load_augment(calls: Sequence[Call], labels: LabelSet) -> Augment:
    """Build the augmentations of a recipe, in order.

    Raises:
        RecipeError: unknown names or arguments, or a flip with swap that is not the first spatial augmentation.
    """
    steps = [build("augment", call, labels=labels) for call in calls]
    for step, call in zip(steps, calls, strict=True):
        if not callable(getattr(step, "draw", None)):
            raise call.fail(f"{call.name} gave {type(step).__name__}, which has no method draw.")
    for i, (step, call) in enumerate(zip(steps, calls, strict=True)):
        if getattr(step, "swap", ()) and not all(hasattr(before, "swap") for before in steps[:i]):
            raise call.fail(
                f"{call.name} with swap has to be the first augmentation: after {calls[i - 1].name} the axes may "
                "no longer be the patient's."
            )
    return Augment(tuple(steps))


@dataclass(frozen=True)
class Augment:
    """Augmentations of pixels and truth together.

    Spatial augmentations come first, fused into one warp, so that samples are interpolated once. The others follow in
    their order. Pixels are unsigned integers over the range of their dtype, or floats from 0 to 1.
    """

    steps: tuple[Augmentation, ...] = ()

    def __call__(
        self, pixels: np.ndarray, truth: Layers, rng: np.random.Generator
    ) -> tuple[np.ndarray, Layers]:
        """Augment pixels (channel, *spatial) and their truth; shapes and dtypes are kept.

        Without a change, the inputs themselves are returned, not copies.
        """
        if not self.steps:
            return pixels, truth
        if pixels.shape[1:] != truth.classes.shape:
            raise ValueError(
                f"augment: pixels have shape {pixels.shape} and classes {truth.classes.shape}; "
                "expected (channel, *spatial) and (*spatial)."
            )
        if pixels.dtype not in _DTYPES:
            raise ValueError(
                f"augment: pixels are {pixels.dtype}; expected uint8, uint16, or float32 from 0 to 1. "
                "Add window or rescale_intensity to prepare."
            )
        drawn = [step.draw(rng, truth.classes.shape) for step in self.steps]
        warps = [part for part in drawn if isinstance(part, Warp)]
        if warps:
            pixels, truth = warp(pixels, truth, reduce(Warp.then, warps))
        return recolour(
            pixels, [p for p in drawn if p is not None and not isinstance(p, Warp)]
        ), truth


def case_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator of a case in an epoch; it does not depend on the number of workers or on resuming."""
    return np.random.default_rng(np.random.SeedSequence((seed, epoch, index)))
