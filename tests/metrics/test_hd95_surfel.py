"""HD95 by area on a line that is found too long."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.hd95_surfel import hd95_surfel


def line(length):
    """A line in an image one sample high: every sample is on its border."""
    classes = (np.arange(8)[None] < length).astype(np.uint8)
    return Segmentation(classes, LabelSet((Label("line", 1),)), Geometry.in_pixels(classes.shape))


def test_hand_drawn():
    # around the longer line, (length, distance): (8 + sqrt 2, 0), (2, 1), (sqrt 2, 2); 89 % lie within 1
    assert hd95_surfel(line(6), line(4)) == {"line": 2}
    # of a line 8 long against 7, 11 % lie farther than 0, of one 8 long against 8 none
    assert hd95_surfel(line(8), line(7)) == {"line": pytest.approx(1)}
    assert hd95_surfel(line(8), line(8)) == {"line": 0}
