"""Specificity, with the other overlap metrics against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import pool
from delineate.resolve import resolve

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2, "thing")))


def segmentation(classes):
    return Segmentation(classes, LABELS, Geometry.in_pixels(classes.shape))


@pytest.mark.parametrize("seed", range(3))
def test_overlap_metrics_agree_with_scikit_learn(seed):
    prediction, truth = np.random.default_rng(seed).integers(0, 3, (2, 9, 8, 7)).astype(np.uint8)
    f, t = prediction.ravel(), truth.ravel()
    expected = {
        "dice": sk.f1_score,
        "iou": sk.jaccard_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "f_beta": lambda a, b: sk.fbeta_score(a, b, beta=2),
        "specificity": lambda a, b: sk.recall_score(~a, ~b),
    }
    for name, score in expected.items():
        ours = resolve("metrics", name)(segmentation(prediction), segmentation(truth))
        for label in LABELS:
            assert ours[label.name] == pytest.approx(score(t == label.value, f == label.value))
    balanced = resolve("metrics", "balanced_accuracy")(
        segmentation(prediction), segmentation(truth)
    )
    assert balanced["all"] == pytest.approx(sk.balanced_accuracy_score(t, f))


def test_nothing_else_in_the_image_has_no_specificity():
    full, half = np.ones((2, 2), np.uint8), np.array([[1, 1], [0, 0]], np.uint8)
    specificity = resolve("metrics", "specificity")
    none = specificity(segmentation(half), segmentation(full))["liver"]
    some = specificity(segmentation(full), segmentation(half))["liver"]
    assert np.isnan(none)
    assert some == 0
    assert pool([none, some]) == 0
