"""The bins behind AUROC and average precision."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve as sk_precision_recall
from sklearn.metrics import roc_curve as sk_roc

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _pair, precision_recall_curve, roc_curve
from delineate.metrics import _probability_histogram as module
from delineate.metrics._probability_histogram import HALF, STARTS, THRESHOLDS, TOP


def histogram(probability, there):
    """Of samples in a row."""
    labels, grid = LabelSet((Label("polyp", 1),)), Geometry.in_pixels((1, there.size))
    truth = Segmentation(there.astype(np.uint8)[None], labels, grid)
    return module._histogram(_pair.Samples(probability[None], truth, "polyp", None))


def values():
    rng = np.random.default_rng(0)
    near = 2.0 ** -np.arange(0, 148, 0.1)
    return np.sort(
        np.concatenate([rng.random(2000), near, 1 - near, [0, 0.5, 1]]).astype(np.float32)
    )


def test_bins_rise_with_probability_and_begin_at_their_threshold():
    p = values()
    fine = module._rank(module._code(p))
    assert (np.diff(fine) >= 0).all()
    assert fine[[0, -1]].tolist() == [0, HALF + TOP]
    place = np.searchsorted(STARTS, fine, side="right") - 1
    assert (THRESHOLDS[place] <= p).all()
    assert (p < np.append(THRESHOLDS, np.inf)[place + 1]).all()
    assert THRESHOLDS[[0, -1]].tolist() == [0, 1]


def test_minus_0_is_0():
    assert module._code(np.array([-0.0, 0.0], np.float32)).tolist() == [0, 0]


def test_0_one_half_and_1_are_alone():
    just = np.float32(1e-41), np.nextafter(np.float32(0.5), 0, dtype=np.float32)
    after = np.nextafter(np.float32(0.5), np.float32(1)), np.float32(1 - 2**-24)
    p = np.array([0, just[0], just[1], 0.5, *after, 1], np.float32)
    coarse = histogram(p, np.ones(p.size, bool)).coarse
    assert coarse[1].max() == 1
    assert coarse[1, [0, -1]].tolist() == [1, 1]


@pytest.mark.parametrize("sharp", [1, 10])
def test_small_and_large_images_fall_into_the_same_coarse_bins(monkeypatch, sharp):
    rng = np.random.default_rng(0)
    there = rng.random(5000) < 0.2
    p = (1 / (1 + np.exp(-sharp * rng.normal(there)))).astype(np.float32)
    exact = histogram(p, there)
    monkeypatch.setattr(module, "EXACT", 100)
    monkeypatch.setattr(_pair, "CHUNK", 1024)
    binned = histogram(p, there)
    np.testing.assert_array_equal(exact.coarse, binned.coarse)
    assert exact.coarse.nbytes < 11_000
    assert exact.fine.sum() == binned.fine.sum() == 5000
    assert exact.fine.shape[1] == np.unique(p).size


def test_curves_pass_through_the_points_of_scikit_learn():
    rng = np.random.default_rng(0)
    there = rng.random(400) < 0.4
    p = (rng.integers(0, 9, 400) / 8).astype(np.float32)  # each in a coarse bin of its own
    parts = histogram(p, there).coarse
    false, true, threshold = sk_roc(there, p, drop_intermediate=False)
    roc = roc_curve(parts)
    np.testing.assert_allclose(roc.false_positive_rate, false)
    np.testing.assert_allclose(roc.true_positive_rate, true)
    np.testing.assert_allclose(roc.threshold, threshold, atol=1 / 250)
    precision, recall, threshold = sk_precision_recall(there, p)
    curve = precision_recall_curve(parts)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_allclose(curve.threshold[::-1], threshold, atol=1 / 250)


def test_curves_of_parts_summed_over_cases():
    rng = np.random.default_rng(0)
    there, p = rng.random(600) < 0.3, rng.random(600).astype(np.float32)
    cases = [histogram(p[i::3], there[i::3]).coarse for i in range(3)]
    whole = roc_curve(histogram(p, there).coarse)
    for ours, expected in zip(roc_curve(sum(cases)), whole, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_curves_of_nothing():
    roc = roc_curve(np.zeros((2, THRESHOLDS.size), np.uint32))
    assert np.isnan(roc.true_positive_rate).all()
    absent = histogram(np.array([0.25, 0.75], np.float32), np.zeros(2, bool)).coarse
    assert np.isnan(roc_curve(absent).true_positive_rate).all()
    assert roc_curve(absent).false_positive_rate.tolist() == [0, 0.5, 1]
    assert np.isnan(precision_recall_curve(absent).recall).all()
