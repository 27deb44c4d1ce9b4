"""Average precision."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _probability_histogram, pool
from delineate.metrics.average_precision import average_precision

LABELS = LabelSet((Label("polyp", 1),))


def score(p, truth):
    grid = Geometry.in_pixels(truth.shape)
    p = np.asarray(p, np.float32)
    prediction = Segmentation(truth, LABELS, grid, probabilities=np.stack([1 - p, p]))
    return average_precision(prediction, Segmentation(truth, LABELS, grid))["polyp"]


def network(seed, sharp, shape=(90, 100)):
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    truth[20:50, 30:60] = True
    return (1 / (1 + np.exp(-sharp * (rng.normal(2.0 * truth) - 1)))).astype(np.float32), truth


@pytest.mark.parametrize("sharp", [0.2, 1, 5, 30])
@pytest.mark.parametrize("small", [True, False])
def test_agrees_with_scikit_learn(monkeypatch, sharp, small):
    if not small:
        monkeypatch.setattr(_probability_histogram, "EXACT", 0)
    p, truth = network(0, sharp)
    expected = average_precision_score(truth.ravel(), p.ravel())
    assert score(p, truth) == pytest.approx(expected, abs=1e-12 if small else 2e-4)
    assert pool([score(p, truth)]) == pytest.approx(expected, abs=1e-3)


def test_hand_drawn():
    p, truth = np.array([[0.9, 0.8, 0.7, 0.6]]), np.array([[True, False, True, False]])
    assert score(p, truth) == pytest.approx((1 / 1 + 2 / 3) / 2)


@pytest.mark.parametrize("levels", [[0.0, 1.0], [0.0, 0.5, 1.0]])
def test_few_different_probabilities_are_draws_also_when_pooled(levels):
    rng = np.random.default_rng(0)
    p, truth = rng.choice(levels, (20, 20)), rng.random((20, 20)) < 0.4
    expected = average_precision_score(truth.ravel(), p.ravel())
    assert score(p, truth) == pytest.approx(expected)
    assert pool([score(p, truth)]) == pytest.approx(expected)


def test_without_truth_nan_and_where_all_is_true_1():
    p = np.array([[0.3, 0.6]])
    assert np.isnan(score(p, np.zeros((1, 2), bool)))
    assert score(p, np.ones((1, 2), bool)) == 1


def test_cases_pool_to_all_their_samples():
    cases = [network(seed, 4) for seed in range(3)]
    p, truth = (np.concatenate([c[i].ravel() for c in cases]) for i in (0, 1))
    pooled = pool([score(*case) for case in cases])
    assert pooled == pytest.approx(average_precision_score(truth, p), abs=1e-3)
