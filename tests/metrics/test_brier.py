"""Brier score."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import pool
from delineate.metrics.brier import brier

LABELS = LabelSet((Label("polyp", 1),))


def score(p, truth):
    p = np.asarray(p, np.float32)
    grid = Geometry.in_pixels(p.shape)
    prediction = Segmentation(
        np.zeros(p.shape, np.uint8), LABELS, grid, probabilities=np.stack([1 - p, p])
    )
    return brier(prediction, Segmentation(np.asarray(truth, np.uint8), LABELS, grid))["polyp"]


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    p, truth = rng.random((6, 7, 8)), rng.integers(0, 2, (6, 7, 8))
    assert score(p, truth) == pytest.approx(brier_score_loss(truth.ravel(), p.ravel()), rel=1e-6)


def test_pools_samples():
    assert pool([score([[0.5]], [[1]]), score([[0, 0, 0]], [[0, 0, 0]])]) == pytest.approx(0.25 / 4)
