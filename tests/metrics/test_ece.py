"""Expected calibration error of each label."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchmetrics.functional.classification import binary_calibration_error

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _calibration, pool
from delineate.metrics._calibration import near_truth
from delineate.metrics.ece import ece

LABELS = LabelSet((Label("polyp", 1),))


def pair(p, truth, geometry=None):
    p, truth = np.asarray(p, np.float32), np.asarray(truth, np.uint8)
    grid = geometry or Geometry.in_pixels(truth.shape)
    prediction = Segmentation(truth, LABELS, grid, probabilities=np.stack([1 - p, p]))
    return prediction, Segmentation(truth, LABELS, grid)


def test_positive_probability_in_two_bins():
    prediction, truth = pair([[0.25, 0.25, 0.75, 0.9, 0.1]], [[0, 1, 1, 1, 0]])
    assert ece(prediction, truth, bins=2, margin=None)["polyp"] == pytest.approx(0.15)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_agrees_with_torchmetrics(bins):
    rng = np.random.default_rng(0)
    p = rng.random((40, 50)).astype(np.float32)
    truth = rng.random(p.shape) < p**2
    theirs = binary_calibration_error(
        torch.tensor(p.ravel()), torch.tensor(truth.ravel().astype(int)), n_bins=bins, norm="l1"
    )
    ours = ece(*pair(p, truth), bins=bins, margin=None)["polyp"]
    assert ours == pytest.approx(float(theirs), abs=1e-5)


def test_its_tally_is_the_reliability_diagram():
    prediction, truth = pair([[0, 0.4, 0.6, 0.8, 1]], [[0, 1, 0, 1, 1]])
    samples, confidence, correct = ece(prediction, truth, bins=2)["polyp"].parts
    assert samples.tolist() == [2, 3]
    assert confidence.tolist() == pytest.approx([0.4, 2.4])
    assert correct.tolist() == [1, 2]


def test_pools_bins_not_errors():
    halves = [ece(*pair([[0.5]], [[t]]), margin=None)["polyp"] for t in (0, 1)]
    assert halves == [0.5, 0.5]
    assert pool(halves) == 0


def test_far_background_does_not_count():
    truth = np.zeros((100, 100))
    truth[45:55, 45:55] = 1
    p = np.where(truth == 1, 0.6, 1e-6)
    assert ece(*pair(p, truth), margin=None)["polyp"] == pytest.approx(0.4 * 100 / 1e4, rel=1e-3)
    assert ece(*pair(p, truth), margin=0)["polyp"] == pytest.approx(0.4, rel=1e-3)
    area = np.count_nonzero(near_truth(pair(p, truth)[1], 10))
    assert 10 * 10 + 4 * 10 * 10 < area < 30 * 30
    assert ece(*pair(p, truth))["polyp"] == pytest.approx(0.4 * 100 / area, rel=1e-3)


@pytest.mark.parametrize("unit", ["mm", "px"])
def test_the_margin_is_in_the_unit_of_the_grid(unit):
    truth = np.zeros((7, 9, 11), np.uint8)
    truth[3, 4, 5] = 1
    spacing = (5.0, 2.0, 1.0)
    grid = Geometry(truth.shape, spacing, unit)
    near = near_truth(pair(truth, truth, grid)[1], 4.0)
    z, y, x = np.indices(truth.shape)
    away = np.sqrt((5 * (z - 3)) ** 2 + (2 * (y - 4)) ** 2 + (x - 5) ** 2)
    np.testing.assert_array_equal(near, away <= 4)


@pytest.mark.parametrize("chunk", [1, 50, 2**18])
def test_near_the_truth_is_what_the_distance_transform_says(monkeypatch, chunk):
    monkeypatch.setattr(_calibration, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    for shape in ((40, 31), (14, 1, 12), (13, 12, 11)):
        truth = (rng.random(shape) < 0.004).astype(np.uint8)
        truth[(0,) * len(shape)] = 1
        spacing = tuple(rng.uniform(0.5, 2.0, len(shape)))
        grid = Geometry(shape, spacing, "mm")
        distance = ndimage.distance_transform_edt(truth == 0, sampling=spacing)
        for margin in (0.0, 1.3, 4.0, 90.0):
            near = near_truth(pair(truth, truth, grid)[1], margin)
            np.testing.assert_array_equal(near, distance <= margin)


def test_an_image_without_truth_has_no_place_to_judge():
    prediction, truth = pair([[0.2, 0.9]], [[0, 0]])
    assert np.isnan(ece(prediction, truth)["polyp"])
    assert ece(prediction, truth, margin=None)["polyp"] == pytest.approx(0.55)


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="bins is 0"):
        ece(*pair([[0.2]], [[1]]), bins=0)
    for margin in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"margin is {margin}; .* null for everywhere"):
            ece(*pair([[0.2]], [[1]]), margin=margin)
