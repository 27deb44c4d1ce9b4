"""Relative volume error."""

import numpy as np

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import pool, traits_of
from delineate.metrics.volume_error import volume_error

LABELS = LabelSet((Label("liver", 1),))


def error(prediction, truth):
    prediction, truth = (
        Segmentation(np.arange(10)[None] < n, LABELS, Geometry((1, 10), (5.0, 0.7), "mm"))
        for n in (prediction, truth)
    )
    return volume_error(prediction, truth)["liver"]


def test_is_signed_and_relative_to_the_truth():
    assert [error(6, 5), error(4, 5), error(0, 5), error(10, 5)] == [0.2, -0.2, -1, 1]
    assert np.isnan(error(3, 0))
    assert np.isnan(error(0, 0))


def test_pools_volumes():
    assert pool([error(6, 5), error(0, 1)]) == 0


def test_neither_less_nor_more_is_better():
    traits = traits_of(volume_error)
    assert traits.signed
    assert traits.best == 0
    assert not traits.lower_is_better
