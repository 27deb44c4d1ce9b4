"""Expected calibration error of the likeliest class."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.ece import ece
from delineate.metrics.ece_top import ece_top


def pair(p, truth, labels):
    p, truth = np.asarray(p, np.float32), np.asarray(truth, np.uint8)
    grid = Geometry.in_pixels(truth.shape)
    prediction = Segmentation(np.zeros_like(truth), labels, grid, probabilities=p)
    return prediction, Segmentation(truth, labels, grid)


def test_the_same_data_is_015_by_positive_probability_and_001_by_top_label():
    p = np.array([[0.25, 0.25, 0.75, 0.9, 0.1]])
    prediction, truth = pair(
        np.stack([1 - p, p]), [[0, 1, 1, 1, 0]], LabelSet((Label("polyp", 1),))
    )
    assert ece_top(prediction, truth, bins=2, margin=None)["all"] == pytest.approx(0.01)
    assert ece(prediction, truth, bins=2, margin=None)["polyp"] == pytest.approx(0.15)


def test_agrees_with_torchmetrics():
    rng = np.random.default_rng(0)
    p = np.moveaxis(rng.dirichlet((0.5, 0.5, 0.5), size=(30, 40)), -1, 0).astype(np.float32)
    truth = rng.integers(0, 3, (30, 40))
    theirs = multiclass_calibration_error(
        torch.tensor(p)[None], torch.tensor(truth)[None], num_classes=3, n_bins=15, norm="l1"
    )
    labels = LabelSet((Label("a", 1), Label("b", 2)))
    ours = ece_top(*pair(p, truth, labels), margin=None)["all"]
    assert ours == pytest.approx(float(theirs), abs=1e-5)


def test_is_judged_near_the_truth():
    truth = np.zeros((1, 50))
    truth[0, 0] = 1
    p = np.where(truth == 1, 0.7, 0.0)
    prediction = pair(np.stack([1 - p, p]), truth, LabelSet((Label("polyp", 1),)))
    assert ece_top(*prediction, margin=4)["all"] == pytest.approx(0.3 / 5)
    assert ece_top(*prediction, margin=None)["all"] == pytest.approx(0.3 / 50)
