"""Slices of prepared volumes, with their neighbours as channels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.prepare import Layers, Slices, load_slices, stacked, unstacked
from delineate.resolve import Call, RecipeError

volumes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=60, deadline=None)
@given(volumes, st.integers(0, 2), st.integers(0, 3), st.data())
def test_a_slab_holds_a_slice_and_its_neighbours_and_repeats_the_ends(
    shape, axis, neighbours, data
):
    volume = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(st.integers(0, shape[1 + axis] - 1))
    slab = Slices((axis,), neighbours).slab(volume, axis, index)
    for offset in range(-neighbours, neighbours + 1):
        there = min(max(index + offset, 0), shape[1 + axis] - 1)
        assert np.array_equal(slab[:, offset + neighbours], volume.take(there, 1 + axis))
    flat = stacked(slab)
    assert len(flat) == Slices((axis,), neighbours).channels(shape[0])
    middle = flat[shape[0] * neighbours : shape[0] * (neighbours + 1)]
    assert np.array_equal(middle, volume.take(index, 1 + axis))
    assert np.array_equal(unstacked(flat, shape[0]), slab)


def test_every_slice_along_every_axis_is_a_sample():
    places = list(Slices((2, 0)).positions((4, 5, 3)))
    assert places == [(2, 0), (2, 1), (2, 2), (0, 0), (0, 1), (0, 2), (0, 3)]
    with pytest.raises(ValueError, match="a prepared image has 2 axes. Leave out slices"):
        list(Slices().positions((4, 5)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_truth_of_a_slice_is_that_of_the_volume_there(axis):
    labels = LabelSet((Label("lesion", 2, "thing"), Label("organ", 1)))
    classes = np.ones((4, 5, 6), np.uint8)
    classes[1:3, 2:4, 2:5] = 2
    lesion = Instance("lesion", 1.0, np.ones((2, 2, 3), bool), (1, 2, 2))
    truth = Segmentation(
        classes, labels, Geometry.in_pixels(classes.shape), (lesion,), present={"lesion": True}
    )
    for index in range(classes.shape[axis]):
        cut = Slices((axis,)).truth(Layers.of(truth), axis, index).segmentation()
        assert np.array_equal(cut.classes, classes.take(index, axis))
        assert not cut.present
        shown = (cut.classes == 2).any()
        assert len(cut.instances) == shown
        if shown:
            assert cut.instances[0].mask.sum() == (cut.classes == 2).sum()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"axes": [0, 0]}, "expected each axis once"),
        ({"axes": []}, "axes"),
        ({"axes": [3]}, "axes"),
        ({"axes": [-1]}, "axes"),
        ({"neighbours": -1}, "neighbours"),
        ({"neighbour": 1}, "neighbour"),
    ],
)
def test_bad_settings_are_refused(args, said):
    with pytest.raises(RecipeError, match=said):
        load_slices(Call("slices", args, "recipe.yaml:3"))


def test_a_recipe_without_the_section_has_none():
    assert load_slices(None) is None
    assert load_slices(Call("slices", {})) == Slices((0,), 0)
