"""Dice swept over thresholds."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.dice_sweep_mean import dice_sweep_mean

LABELS = LabelSet((Label("polyp", 1),))


def score(p, truth, **options):
    p, truth = np.asarray(p, np.float32), np.asarray(truth, np.uint8)
    grid = Geometry.in_pixels(truth.shape)
    prediction = Segmentation(truth, LABELS, grid, probabilities=np.stack([1 - p, p]))
    return dice_sweep_mean(prediction, Segmentation(truth, LABELS, grid), **options)["polyp"]


@pytest.mark.parametrize("seed", range(5))
def test_is_the_sweep_of_the_polyp_papers_written_out(seed):
    rng = np.random.default_rng(seed)
    p = (0.2 + 0.6 * rng.random((13, 11))).astype(np.float32)
    truth = rng.random(p.shape) < 0.3 + p / 3
    grey = np.rint(255 * ((p - p.min()) / (p.max() - p.min()))).astype(int)  # the 8-bit map written
    sweep = []
    for threshold in range(256):  # and its 256 thresholds, 0 included
        prediction = grey >= threshold
        both = (prediction & truth).sum()
        sweep.append(2 * both / (prediction.sum() + truth.sum()) if both else 0)
    assert score(p, truth) == pytest.approx(np.mean(sweep), abs=1e-3)  # a grey value may round


def test_a_perfect_map_misses_one_by_the_threshold_that_finds_all():
    assert score([[1, 0, 0, 0]], [[1, 0, 0, 0]]) == pytest.approx((255 + 2 / 5) / 256)
    assert score([[1, 0, 0, 0]], [[1, 0, 0, 0]], levels=2) == pytest.approx((1 + 2 / 5) / 2)


def test_the_map_is_stretched():
    assert score([[0.2, 0.1, 0.1]], [[1, 0, 0]]) == score([[1, 0, 0]], [[1, 0, 0]])


def test_a_constant_map_is_found_at_the_lowest_threshold_alone():
    assert score([[0.4, 0.4]], [[1, 0]]) == pytest.approx(2 / 3 / 256)


def test_without_truth_there_is_nothing_to_sweep():
    assert np.isnan(score([[0.4, 0.1]], [[0, 0]]))


def test_refuses_fewer_than_two_levels():
    with pytest.raises(ValueError, match="levels is 1; expected at least 2"):
        score([[0.4]], [[1]], levels=1)
