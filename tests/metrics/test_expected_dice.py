import math
from dataclasses import replace

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import traits_of
from delineate.metrics.expected_dice import expected_dice

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2)))
TRUTH = Segmentation(np.array([[0, 1, 2]], np.uint8), LABELS, Geometry.in_pixels((1, 3)))


def test_reads_what_the_predictor_said_and_nothing_else():
    found = replace(TRUTH, scores={"expected dice of tumour": 0.25, "presence of liver": 0.9})
    said = expected_dice(found, TRUTH)
    assert said["tumour"] == 0.25
    assert math.isnan(said["liver"])
    assert traits_of(expected_dice).expects == "dice"


def test_refuses_another_grid():
    other = replace(TRUTH, classes=TRUTH.classes.T, geometry=Geometry.in_pixels((3, 1)))
    with pytest.raises(ValueError, match="different grids"):
        expected_dice(other, TRUTH)
