"""AUROC."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import multiclass_auroc

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _probability_histogram, pool, pool_weighted
from delineate.metrics.auroc import auroc

LABELS = LabelSet((Label("a", 1), Label("b", 2)))


def pair(probabilities, truth):
    grid = Geometry.in_pixels(truth.shape)
    p = np.asarray(probabilities, np.float32)
    prediction = Segmentation(p.argmax(axis=0).astype(np.uint8), LABELS, grid, probabilities=p)
    return prediction, Segmentation(truth.astype(np.uint8), LABELS, grid)


def network(seed, sharp, shape=(60, 70), of=3):
    """Softmax of noisy logits; a sharp one saturates: many probabilities are 0 and 1."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, of, [n // 10 for n in shape]), np.ones((10, 10), int))
    logits = sharp * (rng.normal(size=(3, *shape)) + 1.2 * np.stack([truth == v for v in range(3)]))
    odds = np.exp((logits - logits.max(axis=0)).astype(np.float32))
    return odds / odds.sum(axis=0), truth


@pytest.mark.parametrize("sharp", [0.2, 1, 5, 20])
@pytest.mark.parametrize("small", [True, False])
def test_agrees_with_scikit_learn(monkeypatch, sharp, small):
    if not small:
        monkeypatch.setattr(_probability_histogram, "EXACT", 0)
    p, truth = network(0, sharp)
    for value, score in enumerate(auroc(*pair(p, truth)).values(), start=1):
        expected = roc_auc_score((truth == value).ravel(), p[value].ravel())
        assert score == pytest.approx(expected, abs=1e-12 if small else 1e-4)
        assert pool([score]) == pytest.approx(expected, abs=1e-4)


def test_equal_bins_would_lose_what_a_sure_network_knows():
    p, truth = network(0, 12)
    even = np.floor(p[1] * 65536)  # as many bins as bytes can count, of one width
    exact = roc_auc_score((truth == 1).ravel(), p[1].ravel())
    assert abs(roc_auc_score((truth == 1).ravel(), even.ravel()) - exact) > 1e-3
    assert auroc(*pair(p, truth))["a"] == pytest.approx(exact, abs=1e-12)


def test_hand_drawn_with_a_draw():
    p = np.array([[0.9, 0.5, 0.5, 0.1]])
    prediction, truth = pair(np.stack([1 - p, p, 0 * p]), np.array([[1, 1, 0, 0]]))
    assert auroc(prediction, truth)["a"] == 3.5 / 4


def test_a_class_that_is_not_there_is_nan_not_0_as_in_torchmetrics():
    truth = np.array([[0, 0, 1, 1]])
    p = np.stack([[[0.8, 0.7, 0.1, 0.2]], [[0.1, 0.2, 0.8, 0.7]], np.full((1, 4), 0.1)])
    ours = auroc(*pair(p, truth))
    assert ours["a"] == 1
    assert np.isnan(ours["b"])
    with pytest.warns(UserWarning, match="No positive samples"):
        theirs = multiclass_auroc(torch.tensor(p[:, 0].T), torch.tensor(truth[0]), num_classes=3)
    assert float(theirs) == pytest.approx(2 / 3, abs=1e-3)


@pytest.mark.parametrize("sharp", [1, 10])
def test_cases_pool_to_the_area_over_all_their_samples(sharp):
    cases = [network(seed, sharp, of=2 + seed % 2) for seed in range(4)]
    scores = [auroc(*pair(*case)) for case in cases]
    for value, name in ((1, "a"), (2, "b")):
        p = np.concatenate([p[value].ravel() for p, _ in cases])
        truth = np.concatenate([t.ravel() == value for _, t in cases])
        tallies = [score[name] for score in scores]
        assert pool(tallies) == pytest.approx(roc_auc_score(truth, p), abs=1e-4)
        twice = pool_weighted(tallies, np.array([[2, 0, 0, 1]]))
        assert twice == pytest.approx(pool([tallies[0], tallies[0], tallies[3]]))
