"""NSD on a line that is found too long."""

import math

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.nsd import nsd


def line(length):
    """A line in an image one sample high: every sample is on its border."""
    classes = (np.arange(8)[None] < length).astype(np.uint8)
    return Segmentation(classes, LabelSet((Label("line", 1),)), Geometry.in_pixels(classes.shape))


def test_hand_drawn():
    # around the longer line, (length, distance): (8 + sqrt 2, 0), (2, 1), (sqrt 2, 2); the shorter: 6 + 2 sqrt 2
    whole = 16 + 4 * math.sqrt(2)
    for tolerance, outside in [(0, 2 + math.sqrt(2)), (1, math.sqrt(2)), (2, 0)]:
        score = nsd(line(6), line(4), tolerance=tolerance)
        assert score == {"line": pytest.approx(1 - outside / whole)}
