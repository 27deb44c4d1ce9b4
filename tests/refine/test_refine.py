import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.refine.fill_holes import fill_holes
from delineate.refine.keep_largest_component import keep_largest_component
from delineate.refine.remove_small_objects import remove_small_objects
from delineate.resolve import Call, build, names

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2)))
ARGUMENTS = {"remove_small_objects": {"min_size": 3}}


def segmentation(rows, spacing=None, probabilities=None):
    classes = np.array(rows, dtype=np.uint8)
    spacing = spacing or (1.0,) * classes.ndim
    geometry = Geometry(classes.shape, spacing, "mm")
    return Segmentation(classes, LABELS, geometry, probabilities=probabilities)


def refined(step, prediction):
    image = Image(np.zeros((1, *prediction.classes.shape), np.uint8), prediction.geometry)
    return step(prediction, image).classes.tolist()


ROWS = [
    [1, 1, 0, 2, 0],
    [1, 0, 0, 0, 1],
    [0, 0, 2, 2, 0],
]


def test_drop_small_drops_what_is_smaller_and_joins_corners():
    assert refined(remove_small_objects(2), segmentation(ROWS)) == [
        [1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 2, 2, 0],
    ]
    assert refined(remove_small_objects(2, ["tumour"]), segmentation(ROWS))[1][4] == 1


def test_drop_small_counts_in_the_units_of_the_geometry():
    assert refined(remove_small_objects(2.0), segmentation(ROWS, (2.0, 1.0))) == ROWS


def test_keep_largest():
    assert refined(keep_largest_component(), segmentation(ROWS)) == [
        [1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 2, 2, 0],
    ]
    assert refined(keep_largest_component(2), segmentation(ROWS)) == ROWS


def test_fill_holes_fills_what_is_enclosed_by_one_label_only():
    ring = [
        [1, 1, 1, 1, 1, 0],
        [1, 0, 1, 2, 1, 0],
        [1, 1, 1, 0, 1, 0],
        [0, 0, 1, 1, 1, 0],
    ]
    filled = [row[:] for row in ring]
    filled[1][1] = 1
    assert refined(fill_holes(), segmentation(ring)) == filled
    assert refined(fill_holes(max_size=0.5), segmentation(ring)) == ring


def test_fill_holes_in_three_axes():
    shell = np.ones((3, 3, 3), np.uint8)
    shell[1, 1, 1] = 0
    assert np.all(refined(fill_holes(), segmentation(shell)))


def test_a_volume_of_one_row():
    row = [[[1, 0, 1]]]
    assert refined(keep_largest_component(2), segmentation(row)) == row
    assert refined(remove_small_objects(2), segmentation(row)) == [[[0, 0, 0]]]


@pytest.mark.parametrize("name", names("refine"))
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_every_step_keeps_its_input_and_invents_no_value(name, data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    classes = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    probabilities = np.full((3, *shape), 1 / 3, np.float32)
    found = segmentation(classes, probabilities=probabilities)
    before = found.classes.copy()
    step = build("refine", Call(name, ARGUMENTS.get(name, {})))
    result = np.array(refined(step, found))
    assert (found.classes == before).all()
    assert set(np.unique(result)) <= {0, 1, 2}


def test_a_part_that_is_dropped_becomes_what_includes_it():
    labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2)))
    classes = np.array([[1, 1, 2, 1, 1, 0, 2, 0]], np.uint8)
    found = Segmentation(classes, labels, Geometry.in_pixels((1, 8)))
    image = Image(np.zeros((1, 1, 8)), found.geometry)
    assert remove_small_objects(2)(found, image).classes.tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]]
    only = remove_small_objects(2, labels=["tumour"])(found, image)
    assert only.classes.tolist() == [[1, 1, 1, 1, 1, 0, 1, 0]]
