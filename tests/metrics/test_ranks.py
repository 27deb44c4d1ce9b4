"""Few samples ranked one by one among many."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _probability_histogram as module
from delineate.metrics import pool, pool_weighted
from delineate.metrics._probability_histogram import BINS
from delineate.metrics._ranks import FEW, POINTS, points, ranks
from delineate.metrics.auroc import auroc
from delineate.metrics.average_precision import average_precision

LABELS = LabelSet((Label("lesion", 1),))


def scores(metric, p, there):
    """The tally of one case of samples in a row."""
    grid = Geometry.in_pixels((1, p.size))
    found = Segmentation(
        np.zeros((1, p.size), np.uint8), LABELS, grid, probabilities=np.stack([1 - p, p])[:, None]
    )
    return metric(found, Segmentation(there[None].astype(np.uint8), LABELS, grid))["lesion"]


def simulated(seed, positives, *, centre=-6.0, spread=2.0, size=9000, cases=4, turned=False):
    """Probabilities of a network and whether the label is there, case by case; the label is in the first cases."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(cases):
        there = np.arange(size) < positives // cases + (i < positives % cases)
        logit = rng.normal(centre + 2 * spread * there, spread)
        p = (1 / (1 + np.exp(-logit))).astype(np.float32)
        found.append((1 - p, ~there) if turned else (p, there))
    return found


@pytest.mark.parametrize(
    "shape", [{}, {"centre": -1.0, "spread": 0.5}, {"centre": -4.0, "spread": 0.2}]
)
@pytest.mark.parametrize("positives", [1, 3, 9, 100, FEW])
def test_pooled_scores_of_few_positives_are_those_of_a_full_sort(positives, shape):
    """Bins alone were off by up to 0.0075 of AUROC and 0.1 of average precision."""
    for seed in range(4):
        cases = simulated(seed, positives, **shape)
        p, there = (np.concatenate(of) for of in zip(*cases, strict=True))
        pooled = [pool([scores(m, *case) for case in cases]) for m in (auroc, average_precision)]
        assert pooled[0] == pytest.approx(roc_auc_score(there, p), abs=2e-4)
        assert pooled[1] == pytest.approx(average_precision_score(there, p), abs=1e-4)


def test_few_without_the_label_are_ranked_too():
    for seed in range(4):
        cases = simulated(seed, 5, turned=True)
        p, there = (np.concatenate(of) for of in zip(*cases, strict=True))
        pooled = pool([scores(auroc, *case) for case in cases])
        assert pooled == pytest.approx(roc_auc_score(there, p), abs=2e-4)


def test_equal_probabilities_are_draws():
    cases = [
        (np.round(p * 255) / np.float32(255), there) for p, there in simulated(0, 20, centre=-3)
    ]
    p, there = (np.concatenate(of) for of in zip(*cases, strict=True))
    pooled = [pool([scores(m, *case) for case in cases]) for m in (auroc, average_precision)]
    assert pooled == pytest.approx([roc_auc_score(there, p), average_precision_score(there, p)])


@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_a_weight_of_two_is_the_case_twice(metric):
    tallies = [scores(metric, *case) for case in simulated(1, 11)]
    weighted = pool_weighted(tallies, np.array([[2.0, 1, 0, 3], [0, 0, 1, 1]]))
    expected = [pool([tallies[i] for i in which]) for which in ([0, 0, 1, 3, 3, 3], [2, 3])]
    assert weighted == pytest.approx(expected)


@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_a_case_alone_is_as_pooled_and_parts_of_old_tables_are_read(metric):
    tally = scores(metric, *simulated(2, 50)[0])
    assert tally.parts.shape == (2, BINS + 3 * POINTS)
    assert pool([tally]) == pytest.approx(float(tally), abs=1e-4)
    old = type(tally).of(float(tally), tally.kind, tally.parts[:, :BINS])
    assert ranks([old.parts], BINS, 1) is None
    assert pool([old]) == pytest.approx(float(tally), abs=0.02)


def test_large_images_keep_points_of_their_fine_bins(monkeypatch):
    exact = [scores(average_precision, *case) for case in simulated(3, 9)]
    monkeypatch.setattr(module, "EXACT", 100)
    binned = [scores(average_precision, *case) for case in simulated(3, 9)]
    assert pool(binned) == pytest.approx(pool(exact), abs=1e-3)


def test_points_are_all_of_few_and_the_ends_of_many():
    values = np.linspace(0, 1, 5000, dtype=np.float32)
    few = points(values, (np.arange(5000) < 7).astype(int))
    assert few[:7].view(np.float32).tolist() == values[:7].tolist()
    assert few[POINTS : POINTS + 7].tolist() == list(range(7))
    for tail in (True, False):
        bits, below, upto = points(values, np.ones(5000, int), tail=tail).reshape(3, POINTS)
        assert bits.view(np.float32)[[0, -1]].tolist() == [0, 1]
        assert (upto - below == 1).all()
        assert (below[-POINTS // 3 :] >= 5000 - POINTS // 3).all() == tail
    assert not points(values, np.zeros(5000, int)).any()
