"""What hangs together."""

import numpy as np
import pytest
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
