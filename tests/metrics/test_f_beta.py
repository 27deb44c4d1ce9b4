"""F-beta."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.dice import dice
from delineate.metrics.f_beta import f_beta
from delineate.metrics.precision import precision
from delineate.metrics.recall import recall

LABELS = LabelSet((Label("polyp", 1),))


@pytest.fixture
def pair():
    maps = np.random.default_rng(0).integers(0, 2, (2, 12, 12)).astype(np.uint8)
    return [Segmentation(m, LABELS, Geometry.in_pixels(m.shape)) for m in maps]


def test_a_beta_of_1_is_dice(pair):
    assert f_beta(*pair, beta=1) == dice(*pair)


def test_a_beta_of_2_is_5pr_over_4p_plus_r(pair):
    p, r = precision(*pair)["polyp"], recall(*pair)["polyp"]
    assert f_beta(*pair)["polyp"] == pytest.approx(5 * p * r / (4 * p + r))


@pytest.mark.parametrize("beta", [0, -1, float("nan"), float("inf")])
def test_refuses_a_beta_that_weighs_nothing(pair, beta):
    with pytest.raises(ValueError, match=f"beta is {beta}; expected a number above 0"):
        f_beta(*pair, beta=beta)
