from itertools import permutations, product

import numpy as np
import pytest

from delineate.core import Geometry, Image
from delineate.data._masks import align

AFFINE = np.array([[0.9, 0.1, 0, -7], [-0.1, 0.9, 0, 4], [0, 0, 2.5, 30], [0, 0, 0, 1]])


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_an_image_comes_back_from_any_order_of_axes(axes, flips):
    pixels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    original = Image(pixels, Geometry.in_patient((3, 4, 5), AFFINE))
    turned = pixels.transpose(0, *(a + 1 for a in axes))
    turned = turned[(slice(None), *(slice(None, None, -1 if f else 1) for f in flips))]
    moved = Image(turned, original.geometry.reordered(axes, flips))
    back = align(moved, original.geometry)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.geometry == original.geometry


def test_another_direction_stays_as_it_is():
    here = Image(np.zeros((1, 3, 3, 3)), Geometry.in_patient((3, 3, 3), np.eye(4)))
    angle = np.deg2rad(17)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert align(here, Geometry.in_patient((3, 3, 3), turned)) is here


def test_an_unknown_place_stays_as_it_is():
    here = Image(np.zeros((1, 3, 4)), Geometry.in_pixels((3, 4)))
    assert align(here, Geometry.in_pixels((4, 3))) is here
    volume = Geometry.in_patient((3, 4, 5), np.eye(4))
    assert align(here, volume) is here
