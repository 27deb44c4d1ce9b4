"""Dice at a threshold."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.dice import dice
from delineate.metrics.dice_at import dice_at

LABELS = LabelSet((Label("polyp", 1),))


def pair(p, truth):
    p, truth = np.asarray(p, np.float32), np.asarray(truth, np.uint8)
    grid = Geometry.in_pixels(truth.shape)
    prediction = (p > 0.5).astype(np.uint8)
    return (
        Segmentation(prediction, LABELS, grid, probabilities=np.stack([1 - p, p])),
        Segmentation(truth, LABELS, grid),
    )


def test_a_probability_that_reaches_the_threshold_is_found():
    prediction, truth = pair([[0.5, 0.7, 0.2, 0.1]], [[1, 1, 0, 0]])
    assert dice_at(prediction, truth)["polyp"] == 1
    assert dice_at(prediction, truth, threshold=0.6)["polyp"] == pytest.approx(2 / 3)
    assert dice_at(prediction, truth, threshold=0.2)["polyp"] == pytest.approx(4 / 5)
    assert dice_at(prediction, truth, threshold=0.9)["polyp"] == 0


def test_is_dice_for_one_label_where_no_probability_is_one_half():
    rng = np.random.default_rng(0)
    prediction, truth = pair(rng.random((8, 8)), rng.integers(0, 2, (8, 8)))
    assert dice_at(prediction, truth) == dice(prediction, truth)


@pytest.mark.parametrize("threshold", [0, 1.5, float("nan")])
def test_refuses_a_threshold_that_is_no_probability(threshold):
    with pytest.raises(ValueError, match="expected a probability above 0, up to 1"):
        dice_at(*pair([[0.5]], [[1]]), threshold=threshold)
