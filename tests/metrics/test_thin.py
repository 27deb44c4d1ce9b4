"""Centrelines keep what is connected and lose what is thick."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import euler_number
from skimage.morphology import skeletonize

from delineate.metrics.cldice import thin


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([(9, 11), (6, 7, 5)]), st.integers(0, 2**32 - 1), st.booleans())
def test_keeps_the_topology(shape, seed, blobs):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < rng.random()
    if blobs:
        mask = ndimage.binary_dilation(rng.random(shape) < 0.1)
    mask.setflags(write=False)
    line = thin(mask)
    corners = np.ones((3,) * len(shape))
    assert not (line & ~mask).any()
    assert ndimage.label(line, corners)[1] == ndimage.label(mask, corners)[1]
    # Background around the mask: faces connect it, as in `euler_number` of a mask connected by corners.
    wide, thick = np.pad(line, 1), np.pad(mask, 1)
    assert ndimage.label(~wide)[1] == ndimage.label(~thick)[1]
    assert euler_number(wide, len(shape)) == euler_number(thick, len(shape))
    np.testing.assert_array_equal(thin(line), line)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
def test_a_straight_tube_becomes_a_line_as_long(width, axis):
    shape = [width, width, width]
    shape[axis] = 20
    line = thin(np.ones(shape, bool))
    assert 20 - width - 1 <= line.sum() <= 20  # a wide end is rounded off
    assert line.any(axis=tuple(a for a in range(3) if a != axis)).sum() == line.sum()


def test_scikit_image_loses_tubes_of_even_width():
    assert skeletonize(np.ones((4, 4, 20), bool)).sum() == 0
    assert thin(np.ones((4, 4, 20), bool)).sum() >= 15


def test_a_curve_lies_where_scikit_image_has_it():
    y, x = np.indices((60, 80))
    tube = abs(y - 30 - 15 * np.sin(x / 12)) <= 3
    ours, theirs = thin(tube), skeletonize(tube)
    away = ndimage.distance_transform_edt(~theirs)[ours]
    assert away.mean() < 1
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.1)


def test_the_order_in_memory_does_not_matter():
    mask = np.random.default_rng(0).random((9, 8, 7)) < 0.6
    np.testing.assert_array_equal(thin(np.asfortranarray(mask)), thin(mask))
