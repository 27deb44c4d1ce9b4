"""Hausdorff distance on a line that is found too long."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics.hausdorff import hausdorff


def line(length):
    """A line in an image one sample high: every sample is on its border."""
    classes = (np.arange(8)[None] < length).astype(np.uint8)
    return Segmentation(classes, LabelSet((Label("line", 1),)), Geometry.in_pixels(classes.shape))


def test_the_worst_sample_counts_in_either_direction():
    assert hausdorff(line(6), line(4)) == hausdorff(line(4), line(6)) == {"line": 2}


def test_a_percentile_is_interpolated_in_each_direction_alone():
    # from the longer line: 0 0 0 0 1 2, from the shorter: 0 0 0 0
    for percentile, expected in [(80, 1), (90, 1.5), (95, 1.75), (60, 0)]:
        score = hausdorff(line(6), line(4), percentile=percentile)
        assert score == {"line": pytest.approx(expected)}


@pytest.mark.parametrize("percentile", [0, -5, 101, float("nan")])
def test_a_percentile_that_is_none_is_refused(percentile):
    with pytest.raises(ValueError, match="more than 0 and at most 100"):
        hausdorff(line(6), line(4), percentile=percentile)
