"""How good a model itself expects its mask to be."""

from __future__ import annotations

import numpy as np

from delineate.core import Segmentation

LOGITS = np.linspace(-16.0, 16.0, 1025)
"""Levels that cut a probability map; beyond the ends a float32 probability has no more digits."""


def expected_dice(prediction: Segmentation, *, temperature: float = 1.0) -> dict[str, float]:
    """Dice that the model expects of its mask, by label, from probabilities whose logits are divided by `temperature`.

    The truth is taken to be {p >= u}, one of the model's own level sets, with u uniform in 0 to 1: every sample
    is in it with its probability, and the samples of an image err together (the random set behind Vorob'ev's
    expectation: Heinrich et al., arXiv 1006.5135). If they erred one by one, the expected Dice would nearly be
    2 sum p / (n + sum p) (Borges et al., arXiv 2402.10665), where faint background adds up over a large image.

    Of an empty mask it is the probability that nothing is there. A label is scaled against the rest, so that
    scaling keeps the order of its samples.

    Raises:
        ValueError: no probabilities, or a temperature that is not positive.
    """
    dice = dice_by_level(prediction)
    return {label: float(mean_over_levels(dice[label], temperature)) for label in dice}


def dice_by_level(prediction: Segmentation) -> dict[str, np.ndarray]:
    """Dice of each label's mask with {p >= level} at each of `LOGITS`: (level,); 1 where both are empty.

    Raises:
        ValueError: no probabilities.
    """
    if prediction.probabilities is None:
        raise ValueError(
            "the Dice that a model expects is read from probabilities, which this segmentation lacks."
        )
    return {
        label.name: _with_levels(prediction.mask(label.name), probability)
        for label, probability in zip(prediction.labels, prediction.probabilities[1:], strict=True)
    }


def mean_over_levels(dice: np.ndarray, temperature: float) -> np.ndarray:
    """The mean of (..., level) over u uniform in 0 to 1, the level of u being where the scaled probability is u.

    Raises:
        ValueError: a temperature that is not positive.
    """
    if not (temperature > 0 and np.isfinite(temperature)):
        raise ValueError(
            f"temperature is {temperature}; expected a positive number, and 1 to change nothing."
        )
    u = 1 / (1 + np.exp(-LOGITS / temperature))
    within = (dice[..., 1:] + dice[..., :-1]) / 2 @ np.diff(u)
    return np.asarray(dice[..., 0] * u[0] + within + dice[..., -1] * (1 - u[-1]))


def count_by_level(probability: np.ndarray) -> np.ndarray:
    """Samples below the first of `LOGITS`, between one and the next, and above the last: (level + 1,)."""
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
