"""NSD by samples on a line that is found too long."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.nsd_voxel import nsd_voxel


def line(length):
    """A line in an image one sample high: every sample is on its border."""
    classes = (np.arange(8)[None] < length).astype(np.uint8)
    return Segmentation(classes, LabelSet((Label("line", 1),)), Geometry.in_pixels(classes.shape))


def test_hand_drawn():
    # both directions together: 0 0 0 0 0 0 0 0 1 2
    for tolerance, expected in [(0, 0.8), (0.99, 0.8), (1, 0.9), (2, 1)]:
        score = nsd_voxel(line(6), line(4), tolerance=tolerance)
        assert score == {"line": pytest.approx(expected)}
