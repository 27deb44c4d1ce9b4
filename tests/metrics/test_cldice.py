"""clDice."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import pool
from delineate.metrics.cldice import cldice
from delineate.metrics.dice import dice

LABELS = LabelSet((Label("vessel", 1),))


def pair(prediction, truth):
    both = (np.asarray(mask, bool) for mask in (prediction, truth))
    return [Segmentation(mask, LABELS, Geometry.in_pixels(mask.shape)) for mask in both]


def tube(ndim, width, length=40, start=0):
    mask = np.zeros((21,) * (ndim - 1) + (length,), bool)
    mask[(slice(10 - width // 2, 11 + width // 2),) * (ndim - 1) + (slice(start, length),)] = True
    return mask


@pytest.mark.parametrize("ndim", [2, 3])
def test_width_does_not_matter_but_breaks_do(ndim):
    thick, narrow = tube(ndim, 7), tube(ndim, 3)
    assert cldice(*pair(narrow, thick))["vessel"] == pytest.approx(1, abs=0.03)
    assert dice(*pair(narrow, thick))["vessel"] < 0.7
    broken = narrow.copy()
    broken[..., 15:25] = False
    # Ten of forty are missed, and what was found is true: harmonic mean of 1 and 3/4.
    assert cldice(*pair(broken, tube(ndim, 1)))["vessel"] == pytest.approx(6 / 7, abs=0.02)


def test_is_the_formula_of_the_paper_on_thinned_trees():
    rng = np.random.default_rng(0)
    y, x = np.indices((96, 96))
    truth = (abs(y - 40 - 12 * np.sin(x / 9)) < 4) | (abs(x - 50) < 3)
    prediction = ndimage.shift(truth.astype(float), (1, 2), order=0) > 0
    prediction &= ndimage.gaussian_filter(rng.normal(size=prediction.shape), 4) > -0.06
    f, t = skeletonize(prediction), skeletonize(truth)
    precision, sensitivity = (f & truth).sum() / f.sum(), (t & prediction).sum() / t.sum()
    expected = 2 * precision * sensitivity / (precision + sensitivity)
    assert 0.5 < expected < 0.99
    assert cldice(*pair(prediction, truth))["vessel"] == pytest.approx(expected, abs=0.02)


def test_empties():
    something, nothing = tube(2, 3), np.zeros((21, 40), bool)
    assert np.isnan(cldice(*pair(nothing, nothing))["vessel"])
    assert cldice(*pair(something, nothing))["vessel"] == 0
    assert cldice(*pair(nothing, something))["vessel"] == 0
    assert cldice(*pair(something, ~something & np.roll(something, 7, 0)))["vessel"] == 0


def test_pools_lengths():
    right, missed = (cldice(*pair(f, tube(2, 1)))["vessel"] for f in (tube(2, 1), tube(2, 1) & False))  # fmt: skip
    assert pool([right, missed]) == pytest.approx(2 * 1 * 0.5 / 1.5)
