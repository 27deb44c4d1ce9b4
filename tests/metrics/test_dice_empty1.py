"""Dice with 1 where both are empty."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.evaluate import evaluate
from delineate.metrics import load_metrics
from delineate.metrics.dice_empty1 import dice_empty1
from delineate.resolve import Call

TWO = LabelSet((Label("neoplastic", 1), Label("non_neoplastic", 2)))


def segmentation(classes, labels=TWO):
    classes = np.asarray(classes, np.uint8)
    return Segmentation(classes, labels, Geometry.in_pixels(classes.shape))


@pytest.mark.parametrize(
    ("prediction", "truth", "score"),
    [
        ([[0, 0]], [[0, 0]], 1),
        ([[1, 0]], [[0, 0]], 0),
        ([[0, 0]], [[1, 0]], 0),
        ([[1, 1]], [[1, 0]], 2 / 3),
    ],
)
def test_both_empty_is_one_and_one_empty_is_zero(prediction, truth, score):
    found = dice_empty1(segmentation(prediction), segmentation(truth))
    assert found["neoplastic"] == pytest.approx(score)
    assert found["non_neoplastic"] == 1
    assert found["all"] == pytest.approx((score + 1) / 2)


def test_agrees_with_monai_that_does_not_ignore_empty_masks():
    rng = np.random.default_rng(0)
    for _ in range(20):
        prediction, truth = (rng.integers(0, 3, (5, 4)) * (rng.random() < 0.6) for _ in range(2))
        hot = (torch.tensor(np.stack([m == v for v in (1, 2)])[None]) for m in (prediction, truth))
        expected = compute_dice(*hot, ignore_empty=False)[0].tolist()
        found = dice_empty1(segmentation(prediction), segmentation(truth))
        assert [found[name] for name in TWO.names] == pytest.approx(expected)


def test_one_label_needs_no_mean_over_labels():
    polyp = LabelSet((Label("polyp", 1),))
    assert dice_empty1(segmentation([[0]], polyp), segmentation([[0]], polyp)) == {"polyp": 1}


def test_both_conventions_stand_side_by_side_with_intervals():
    rng = np.random.default_rng(1)
    truths = [
        segmentation(np.full((4, 4), rng.integers(0, 3)) * (rng.random((4, 4)) < 0.8))
        for _ in range(9)
    ]
    found = [segmentation(t.classes * (rng.random((4, 4)) < 0.9)) for t in truths]
    grid = Geometry.in_pixels((4, 4))
    cases = [
        Case(f"c{i}", f"g{i}", lambda: Image(np.zeros((1, 4, 4), np.uint8), grid), lambda t=t: t)
        for i, t in enumerate(truths)
    ]
    metrics = load_metrics([Call("dice"), Call("dice_empty1")])
    table = evaluate(lambda case: found[int(case.id[1:])], cases, metrics, progress=False)
    rows = [
        dice_empty1(f, t)[label] for f, t in zip(found, truths, strict=True) for label in TWO.names
    ]
    assert table.mean("all", "dice_empty1") == pytest.approx(np.mean(rows))
    assert table.overall("dice_empty1") == pytest.approx(np.mean(rows))
    scores = table.scores()["labels"]
    for label in TWO.names:
        of = scores[label]["metrics"]
        assert of["dice"]["left_out"]["cases"] > 0
        assert of["dice_empty1"]["left_out"]["cases"] == 0
        assert of["dice_empty1"]["mean"] > of["dice"]["mean"]
        assert scores[label]["dice_mean_empty1"] == pytest.approx(of["dice_empty1"]["mean"])
        low, high = of["dice_empty1"]["interval"]
        assert low < of["dice_empty1"]["mean"] < high
    assert scores["all"]["metrics"]["dice_empty1"]["interval"]
