"""Expected Dice: an estimate of a mask's Dice from the model's own probabilities."""

from __future__ import annotations

import numpy as np

from delineate.core import Segmentation

LOGITS = np.linspace(-16.0, 16.0, 1025)
"""Logits of the levels at which a probability map is thresholded; float32 probabilities resolve nothing beyond."""


def expected_dice(prediction: Segmentation, *, temperature: float = 1.0) -> dict[str, float]:
    """Expected Dice of each label's mask, from probabilities whose logits are divided by `temperature`.

    The truth is modelled as a random level set {p >= u} of the probability map, with u uniform in 0 to 1: each sample
    belongs to it with its own probability, and the errors in an image are fully correlated (the random set of
    Vorob'ev's expectation: Heinrich et al., arXiv 1006.5135). With independent errors the expected Dice would be about
    2 sum p / (n + sum p) (Borges et al., arXiv 2402.10665), in which faint background adds up over a large image.

    For an empty mask it is the probability that the label is absent. Each label is scaled against the rest, which keeps
    the order of its samples.

    Raises:
        ValueError: no probabilities, or a temperature that is not positive.
    """
    dice = dice_by_level(prediction)
    return {label: float(mean_over_levels(dice[label], temperature)) for label in dice}


def dice_by_level(prediction: Segmentation) -> dict[str, np.ndarray]:
    """Dice between each label's mask and {p >= level}, for each of `LOGITS`: (level,); 1 if both are empty.

    Raises:
        ValueError: no probabilities.
    """
    if prediction.probabilities is None:
        raise ValueError(
            "the expected Dice is computed from probabilities, and this segmentation has none. "
            "Predict with keep_probabilities=True."
        )
    return {
        label.name: _with_levels(prediction.mask(label.name), probability)
        for label, probability in zip(prediction.labels, prediction.probabilities[1:], strict=True)
    }


def mean_over_levels(dice: np.ndarray, temperature: float) -> np.ndarray:
    """The mean of `dice` (..., level) over u uniform in 0 to 1; u is the level as a scaled probability.

    Raises:
        ValueError: a temperature that is not positive.
    """
    if not (temperature > 0 and np.isfinite(temperature)):
        raise ValueError(
            f"temperature is {temperature}; expected a positive number (1 changes nothing)."
        )
    u = 1 / (1 + np.exp(-LOGITS / temperature))
    within = (dice[..., 1:] + dice[..., :-1]) / 2 @ np.diff(u)
    return np.asarray(dice[..., 0] * u[0] + within + dice[..., -1] * (1 - u[-1]))


def count_by_level(probability: np.ndarray) -> np.ndarray:
    """Number of samples below the first of `LOGITS`, between neighbours, and above the last: (level + 1,)."""
    return np.histogram(probability, _EDGES)[0]


_EDGES = np.concatenate(([-np.inf], 1 / (1 + np.exp(-LOGITS)), [np.inf]))


def _with_levels(mask: np.ndarray, probability: np.ndarray) -> np.ndarray:
    inside = probability[mask]
    both, either = (
        count_by_level(p)[:0:-1].cumsum()[::-1] + extra
        for p, extra in ((inside, 0), (probability, inside.size))
    )
    dice = np.ones(len(LOGITS))
    np.divide(2 * both, either, out=dice, where=either > 0)
    return dice
