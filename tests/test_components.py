"""What hangs together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from delineate.components import components, numbered


def test_corners_connect_unless_faces_are_asked_for():
    steps = np.eye(4, dtype=bool)
    assert numbered(steps).max() == 1
    assert numbered(steps, faces=True).max() == 4
    _, sizes = components(steps, faces=True)
    assert sizes.tolist() == [12, 1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (1, 9), (5, 6), (1, 5, 1), (4, 5, 6)])
@pytest.mark.parametrize("faces", [False, True])
def test_agrees_with_scipy_on_any_shape(shape, faces):
    mask = np.random.default_rng(0).random(shape) < 0.4
    reach = ndimage.generate_binary_structure(len(shape), 1 if faces else len(shape))
    expected, count = ndimage.label(mask, reach)
    numbers, sizes = components(mask, faces=faces)
    assert numbers.shape == shape
    assert len(sizes) == count + 1
    np.testing.assert_array_equal(numbers > 0, mask)
    pairs = {*zip(numbers[mask].tolist(), expected[mask].tolist(), strict=True)}
    assert len(pairs) == count


@settings(max_examples=300, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=3).map(tuple),
    share=st.floats(0.1, 0.7),
    seed=st.integers(0, 999),
    faces=st.booleans(),
)
def test_agrees_with_scipy_on_random_masks(shape, share, seed, faces):
    mask = np.random.default_rng(seed).random(shape) < share
    reach = ndimage.generate_binary_structure(len(shape), 1 if faces else len(shape))
    expected, count = ndimage.label(mask, reach)
    numbers = numbered(mask, faces=faces)
    np.testing.assert_array_equal(numbers > 0, mask)
    pairs = {*zip(numbers[mask].tolist(), expected[mask].tolist(), strict=True)}
    assert len(pairs) == count == numbers.max()


def test_a_wide_mask_with_an_odd_number_of_columns():
    noise = np.random.default_rng(1).random((480, 641))
    for radius in (1.0, 1.5, 2.0, 3.0):
        mask = ndimage.gaussian_filter(noise, radius) > 0.5
        _, count = ndimage.label(mask, np.ones((3, 3)))
        numbers = numbered(mask)
        assert numbers.max() == count
        np.testing.assert_array_equal(numbers > 0, mask)
