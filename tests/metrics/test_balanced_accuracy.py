"""Balanced accuracy."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import counts, pool, pool_weighted
from delineate.metrics.balanced_accuracy import balanced_accuracy
from delineate.metrics.pixel_accuracy import pixel_accuracy

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2, "thing")))


def segmentation(classes):
    classes = np.asarray(classes, np.uint8)
    return Segmentation(classes, LABELS, Geometry.in_pixels(classes.shape))


def test_does_not_grow_with_the_background():
    truth = np.zeros((10, 10), np.uint8)
    truth[0, :2] = 1
    nothing = segmentation(np.zeros_like(truth))
    assert pixel_accuracy(nothing, segmentation(truth)) == {"all": 0.98}
    assert balanced_accuracy(nothing, segmentation(truth)) == {"all": 0.5}


def test_classes_that_are_not_there_are_left_out():
    assert balanced_accuracy(segmentation([[2, 1]]), segmentation([[1, 1]])) == {"all": 0.5}


def test_cases_pool_to_the_matrix_of_the_whole_set():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, (4, 2, 6, 6)).astype(np.uint8)
    scores = [balanced_accuracy(segmentation(f), segmentation(t))["all"] for f, t in maps]
    prediction, truth = (segmentation(maps[:, i].reshape(24, 6)) for i in (0, 1))
    np.testing.assert_array_equal(
        sum(score.parts for score in scores), counts(prediction, truth).matrix
    )
    whole = balanced_accuracy(prediction, truth)["all"]
    assert pool(scores) == pytest.approx(whole)
    weights = np.array([[1, 1, 1, 1], [0, 0, 2, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(pool_weighted(scores, weights), [whole, scores[2], np.nan])
