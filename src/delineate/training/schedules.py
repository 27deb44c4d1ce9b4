"""Learning rate schedules: each gives the factor on the learning rate at one moment of training.

The schedules of torch need the number of steps, which a run with a time limit does not know. These follow the same
curves, but depend on the fraction of the budget that is spent, in epochs or in time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from delineate.arguments import (
    Fraction,
    FractionAboveZero,
    FractionBelowOne,
    NonNegative,
    NonNegativeWhole,
    Positive,
)

__all__ = ["constant", "cosine", "exponential", "plateau", "poly", "step"]


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    fraction: spent part of the budget, 0 to 1.
    epoch: epochs done, including the part of the current one.
    scores: the monitored score of each validation so far, signed so that higher is better.
    """

    fraction: float
    epoch: float
    scores: tuple[float, ...] = ()


def constant(progress: Progress, *, warmup: FractionBelowOne = 0.0) -> float:
    """Always 1, after a linear warm-up over that fraction of the budget."""
    return _warm(progress, warmup)


def cosine(progress: Progress, *, warmup: FractionBelowOne = 0.0, final: Fraction = 0.0) -> float:
    """Half a cosine from 1 to `final` (Loshchilov & Hutter, ICLR 2017, eq. 5), after a linear warm-up."""
    warm = _warm(progress, warmup)
    wave = 0.5 * (1 + math.cos(math.pi * _after(progress, warmup)))
    return warm * (final + (1 - final) * wave)


def poly(progress: Progress, *, power: NonNegative = 0.9, warmup: FractionBelowOne = 0.0) -> float:
    """(1 - t) ** power (Chen et al., TPAMI 2018, section 4), after a linear warm-up."""
    return float(_warm(progress, warmup) * (1 - _after(progress, warmup)) ** power)


def step(
    progress: Progress,
    *,
    every: Positive = 10.0,
    gamma: FractionAboveZero = 0.1,
    warmup: FractionBelowOne = 0.0,
) -> float:
    """Times `gamma` each time `every` epochs have passed, after a linear warm-up."""
    return float(_warm(progress, warmup) * gamma ** (progress.epoch // every))


def exponential(
    progress: Progress, *, gamma: FractionAboveZero = 0.95, warmup: FractionBelowOne = 0.0
) -> float:
    """Times `gamma` each epoch, after a linear warm-up."""
    return float(_warm(progress, warmup) * gamma ** math.floor(progress.epoch))


def plateau(
    progress: Progress,
    *,
    patience: NonNegativeWhole = 5,
    factor: FractionAboveZero = 0.1,
    threshold: NonNegative = 1e-4,
    warmup: FractionBelowOne = 0.0,
) -> float:
    """Times `factor` whenever the monitored score has not risen by `threshold` for more than `patience` validations."""
    best, waited, cuts = -math.inf, 0, 0
    for score in progress.scores:
        if score > best + threshold:
            best, waited = score, 0
        else:
            waited += 1
        if waited > patience:
            cuts, waited = cuts + 1, 0
    return float(_warm(progress, warmup) * factor**cuts)


def _warm(progress: Progress, warmup: float) -> float:
    # never 0, so that the first step changes the weights
    return 1.0 if warmup <= 0 else min(1.0, max(progress.fraction, 0.01 * warmup) / warmup)


def _after(progress: Progress, warmup: float) -> float:
    return min(1.0, max(0.0, (progress.fraction - warmup) / (1 - warmup)))
