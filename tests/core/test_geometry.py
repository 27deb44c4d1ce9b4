from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry

SHAPES = st.lists(st.integers(1, 40), min_size=2, max_size=3).map(tuple)


def scan(shape=(4, 6, 8)):
    turn = np.deg2rad(17)
    affine = np.eye(4)
    affine[:3, :3] = [
        [0, 0, 2.5],
        [np.cos(turn), -np.sin(turn), 0],
        [np.sin(turn), np.cos(turn), 0],
    ]
    affine[:3, :3] *= [1, 0.7, 1]
    affine[:3, 3] = [-10, 20, 30]
    return Geometry.in_patient(shape, affine)


def test_a_photograph_has_no_millimetres():
    geometry = Geometry.in_pixels((480, 640))
    assert (geometry.unit, geometry.spacing, geometry.to_patient) == ("px", (1.0, 1.0), None)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_orientation_is_that_of_nibabel(order, flips):
    nibabel = pytest.importorskip("nibabel")
    grid = scan().reordered(order, flips)
    ras = np.diag([-1.0, -1, 1, 1]) @ grid.to_patient
    assert grid.orientation == "".join(nibabel.aff2axcodes(ras))


def test_orientation_of_a_slice_and_of_a_photograph():
    slices = Geometry.in_patient((4, 5), np.array([[0, 3, 0], [0, 0, 0], [-1, 0, 0], [0, 0, 1.0]]))
    assert slices.orientation == "IL"
    assert Geometry.in_pixels((4, 5)).orientation == ""


def test_spacing_of_a_scan_follows_from_its_affine():
    affine = np.diag([0.7, 0.8, 5.0, 1.0])
    geometry = Geometry.in_patient((512, 512, 40), affine)
    assert geometry.spacing == pytest.approx((0.7, 0.8, 5.0))
    assert geometry.sample_size == pytest.approx(0.7 * 0.8 * 5)
    assert geometry.size_unit == "mm³"


@pytest.mark.parametrize(
    ("shape", "spacing", "affine", "said"),
    [
        ((4, 4), (1.0,), None, "differ in length"),
        ((4, 0), (1.0, 1.0), None, "at least one sample"),
        ((4, 4), (1.0, -1.0), None, "positive"),
        ((4, 4), (1.0, float("nan")), None, "positive"),
        ((4, 4), (1.0, 1.0), np.eye(4), "expected \\(4, 3\\)"),
    ],
)
def test_nonsense_is_refused(shape, spacing, affine, said):
    with pytest.raises(ValueError, match=said):
        Geometry(shape, spacing, "mm", affine)


@settings(max_examples=30, deadline=None)
@given(SHAPES, st.data())
def test_resizing_keeps_the_extent(shape, data):
    other = data.draw(st.tuples(*[st.integers(1, 40)] * len(shape)))
    before = Geometry(shape, (0.5,) * len(shape), "mm")
    after = before.resized(other)
    assert np.multiply(after.shape, after.spacing) == pytest.approx(
        np.multiply(before.shape, before.spacing)
    )


def test_resizing_keeps_the_outer_corners_in_the_patient():
    before = scan()
    after = before.resized((8, 3, 5))
    for outer in (-0.5, 1):  # from the outer edge of the first sample to that of the last
        first = [(-0.5 if outer < 0 else n - 0.5) for n in before.shape]
        second = [(-0.5 if outer < 0 else n - 0.5) for n in after.shape]
        assert before.to_patient @ [*first, 1] == pytest.approx(after.to_patient @ [*second, 1])


def test_cropping_moves_the_origin():
    before = scan()
    after = before.cropped((1, -2, 3), (2, 9, 4))
    assert after.shape == (2, 9, 4)
    assert after.to_patient @ [0, 0, 0, 1] == pytest.approx(before.to_patient @ [1, -2, 3, 1])


def test_reordering_follows_the_array():
    before = scan()
    array = np.arange(4 * 6 * 8).reshape(4, 6, 8)
    moved = np.flip(array.transpose(2, 0, 1), axis=(0, 2))
    after = before.reordered((2, 0, 1), (True, False, True))
    assert after.shape == moved.shape
    old = np.argwhere(array == 77)[0]
    new = np.argwhere(moved == 77)[0]
    assert after.to_patient @ [*new, 1] == pytest.approx(before.to_patient @ [*old, 1])
    assert sorted(after.spacing) == pytest.approx(sorted(before.spacing))


def test_differences_are_said_in_words():
    here = scan()
    assert here.differences(scan()) == []
    assert here == scan()
    assert "shape" in here.differences(scan((4, 6, 9)))[0]
    shifted = here.to_patient.copy()
    shifted[0, 3] += 7.5
    there = Geometry.in_patient(here.shape, shifted)
    assert here.differences(there) == ["position in the patient, by up to 7.5 mm"]
    assert here != there
