"""Temperature scaling: one number that calibrates a model's probabilities."""

from __future__ import annotations

import numpy as np

from delineate.inference.confidence import LOGITS, count_by_level

BOUNDS = (0.1, 10.0)
"""Search bounds. A fit at either bound means that the probabilities carry no signal."""


def fit_temperature(seen: np.ndarray) -> float:
    """The temperature with the least negative log-likelihood within `BOUNDS` (Guo et al., ICML 2017).

    Args:
        seen: counts or weights of samples by logit, (2, bin), as `seen_probabilities`.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and not needed to predict

    # the negative log-likelihood is convex in 1 / temperature
    fit = minimize_scalar(
        lambda factor: nll(seen, 1 / factor),
        bounds=(1 / BOUNDS[1], 1 / BOUNDS[0]),
        method="bounded",
    )
    return 1 / float(fit.x)


def at_bound(temperature: float) -> bool:
    """Whether a fitted temperature lies at one of `BOUNDS`; the optimum may then lie outside them."""
    low, high = BOUNDS
    return temperature < low * 1.01 or temperature > high / 1.01


def seen_probabilities(probability: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Number of samples with a logit in each bin, where the label is absent and where it is present: (2, bin)."""
    every, present = count_by_level(probability), count_by_level(probability[there])
    return np.stack((every - present, present))


def nll(seen: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood per sample; `seen` as in `fit_temperature`."""
    z = MIDDLES / temperature
    absent, present = seen
    return float((absent @ np.logaddexp(0, z) + present @ np.logaddexp(0, -z)) / seen.sum())


def ece(seen: np.ndarray, temperature: float, *, bins: int = 15) -> float:
    """Expected calibration error over all samples; `seen` as in `fit_temperature`.

    The metric `ece` counts only samples near the truth, unless its margin is null. It is larger than this value, since
    easy background is left out. Probabilities are accurate here to the width of a bin of logits.
    """
    p = 1 / (1 + np.exp(-MIDDLES / temperature))
    place = np.minimum((p * bins).astype(np.intp), bins - 1)
    gap = np.bincount(place, p * seen.sum(axis=0) - seen[1], minlength=bins)
    return float(np.abs(gap).sum() / seen.sum())


MIDDLES = np.concatenate((LOGITS[:1], (LOGITS[1:] + LOGITS[:-1]) / 2, LOGITS[-1:]))
"""The logit that represents each bin."""
