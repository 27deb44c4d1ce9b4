"""HD95 on a line that is found too long."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.hd95 import hd95


def line(length):
    """A line in an image one sample high: every sample is on its border."""
    classes = (np.arange(8)[None] < length).astype(np.uint8)
    return Segmentation(classes, LabelSet((Label("line", 1),)), Geometry.in_pixels(classes.shape))


def test_hand_drawn():
    # from the longer line: 0 0 0 0 1 2, from the shorter: 0 0 0 0
    assert hd95(line(6), line(4)) == hd95(line(4), line(6)) == {"line": pytest.approx(1.75)}
