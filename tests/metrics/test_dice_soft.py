"""Soft Dice."""

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import pool
from delineate.metrics.dice import dice
from delineate.metrics.dice_at import dice_at
from delineate.metrics.dice_soft import dice_soft
from delineate.metrics.dice_sweep_mean import dice_sweep_mean

LABELS = LabelSet((Label("polyp", 1),))


def pair(p, truth):
    p, truth = np.asarray(p, np.float32), np.asarray(truth, np.uint8)
    grid = Geometry.in_pixels(truth.shape)
    prediction = (p > 0.5).astype(np.uint8)
    return (
        Segmentation(prediction, LABELS, grid, probabilities=np.stack([1 - p, p])),
        Segmentation(truth, LABELS, grid),
    )


@pytest.mark.parametrize("shape", [(9, 7), (4, 5, 6)])
def test_is_one_minus_the_dice_loss_of_monai_without_smoothing(shape):
    rng = np.random.default_rng(0)
    p, t = rng.random(shape).astype(np.float32), rng.integers(0, 2, shape)
    loss = DiceLoss(smooth_nr=0, smooth_dr=0)(*(torch.tensor(a)[None, None] for a in (p, t)))
    assert dice_soft(*pair(p, t))["polyp"] == pytest.approx(1 - float(loss), rel=1e-5)


def test_three_dice_are_three_numbers():
    y, x = np.indices((64, 64)) - 32
    distance = np.hypot(y, x)
    prediction, truth = pair(1 / (1 + np.exp((distance - 18.2) / 4)), distance < 16)
    at, soft, swept = (
        metric(prediction, truth)["polyp"] for metric in (dice_at, dice_soft, dice_sweep_mean)
    )
    assert at == dice(prediction, truth)["polyp"]
    assert at > max(soft, swept) + 0.1
    assert abs(soft - swept) > 0.02


def test_where_nothing_is_true_any_probability_is_wrong():
    assert dice_soft(*pair([[1e-3, 0]], [[0, 0]]))["polyp"] == 0
    assert np.isnan(dice_soft(*pair([[0, 0]], [[0, 0]]))["polyp"])


def test_pools_sums():
    scores = [dice_soft(*pair([[p]], [[t]]))["polyp"] for p, t in ((0.5, 1), (0.25, 0))]
    assert pool(scores) == pytest.approx(2 * 0.5 / (0.75 + 1))
