"""One number that makes a model's probabilities believable."""

from __future__ import annotations

import numpy as np

from delineate.inference.confidence import LOGITS, count_by_level

BOUNDS = (0.1, 10.0)
"""Between which temperatures is searched; what lies at one of them says that something is wrong."""


def fit_temperature(seen: np.ndarray) -> float:
    """The temperature under which what was seen is likeliest, within `BOUNDS` (Guo et al., ICML 2017)."""
    from scipy.optimize import minimize_scalar  # slow to import, and predicting does not fit

    # in 1 / temperature the likelihood is convex
    found = minimize_scalar(
        lambda factor: nll(seen, 1 / factor),
        bounds=(1 / BOUNDS[1], 1 / BOUNDS[0]),
        method="bounded",
    )
    return 1 / float(found.x)


def at_bound(temperature: float) -> bool:
    """Whether a temperature that was fitted is as low or as high as was searched: the likeliest may lie beyond."""
    low, high = BOUNDS
    return temperature < low * 1.01 or temperature > high / 1.01


def seen_probabilities(probability: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How many samples had a logit in each bin, where the label is absent and where it is there: (2, bin)."""
    every, present = count_by_level(probability), count_by_level(probability[there])
    return np.stack((every - present, present))


def nll(seen: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood of a sample; seen (2, bin), counts or weights."""
    z = MIDDLES / temperature
    absent, present = seen
    return float((absent @ np.logaddexp(0, z) + present @ np.logaddexp(0, -z)) / seen.sum())


def ece(seen: np.ndarray, temperature: float, *, bins: int = 15) -> float:
    """Expected calibration error of everything seen; seen (2, bin), counts or weights.

    The metric `ece` looks near the truth alone, unless its margin is null: where easy background is left out, the
    error is larger. Probabilities are known here to the width of a bin of logits.
    """
    p = 1 / (1 + np.exp(-MIDDLES / temperature))
    place = np.minimum((p * bins).astype(np.intp), bins - 1)
    gap = np.bincount(place, p * seen.sum(axis=0) - seen[1], minlength=bins)
    return float(np.abs(gap).sum() / seen.sum())


MIDDLES = np.concatenate((LOGITS[:1], (LOGITS[1:] + LOGITS[:-1]) / 2, LOGITS[-1:]))
"""The logit that stands for each bin."""
