"""Dice against MONAI: the same where there is something, and another answer where there is nothing."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.dice import dice

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2, "thing")))


def segmentation(classes):
    return Segmentation(
        np.asarray(classes, np.uint8), LABELS, Geometry.in_pixels(np.shape(classes))
    )


def monai(prediction, truth, **options):
    hot = (np.stack([np.asarray(m) == v for v in (1, 2)])[None] for m in (prediction, truth))
    return compute_dice(*(torch.tensor(m) for m in hot), **options)[0].tolist()


@pytest.mark.parametrize("shape", [(16, 17), (6, 7, 8)])
def test_agrees_with_monai(shape):
    prediction, truth = np.random.default_rng(0).integers(0, 3, (2, *shape))
    ours = dice(segmentation(prediction), segmentation(truth))
    assert list(ours.values()) == pytest.approx(monai(prediction, truth))


NONE, SOME = [[0, 0]], [[1, 0]]


@pytest.mark.parametrize(
    ("prediction", "truth", "ours", "ignoring_empty", "else_"),
    [
        (NONE, NONE, np.nan, np.nan, 1),
        (SOME, NONE, 0, np.nan, 0),  # ignore_empty=True hides what was found wrongly
        (NONE, SOME, 0, 0, 0),
    ],
)
def test_empties_beside_monai(prediction, truth, ours, ignoring_empty, else_):
    score = dice(segmentation(prediction), segmentation(truth))["liver"]
    assert score == pytest.approx(ours, nan_ok=True)
    assert monai(prediction, truth)[0] == pytest.approx(ignoring_empty, nan_ok=True)
    assert monai(prediction, truth, ignore_empty=False)[0] == else_
