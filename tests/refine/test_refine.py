from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Geometry, Image, Instance, Label, LabelSet, Output, Segmentation
from delineate.refine import tried, tried_by
from delineate.refine._crops import logits_of
from delineate.refine.fill_holes import fill_holes
from delineate.refine.keep_largest_component import keep_largest_component
from delineate.refine.remove_small_objects import remove_small_objects
from delineate.resolve import GIVEN, Call, build, names, resolve

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2)))
every = pytest.mark.parametrize("name", names("refine"))


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


def growing(path):
    """A network of a bundle, for a step that has one: every region of the last label grows."""

    def run(pixels):
        logits = np.stack([logits_of(maps) for maps in pixels[:, -4:-1]])
        logits[:, -1] += 9 * (np.abs(pixels[:, -1]) < 0.5)
        return Output(logits)

    return run, 1 + 3 + 1


@every
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_step_keeps_its_input_and_its_output_agrees_with_itself(name, data, needed):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    classes = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    maps = np.stack([classes == value for value in range(3)]).astype(np.float32)
    there = tuple(
        Instance(label.name, 0.9, classes == label.value, (0,) * len(shape))
        for label in LABELS
        if (classes == label.value).any()
    )
    found = replace(segmentation(classes, probabilities=maps.copy()), instances=there)
    image = Image(np.zeros((1, *shape), np.uint8), found.geometry)
    step = build(
        "refine", Call(name, needed(resolve("refine", name), GIVEN["refine"])), load=growing
    )
    result = step(found, image)
    assert isinstance(result, Segmentation)
    assert (found.classes == classes).all()
    assert (found.probabilities == maps).all()
    assert found.instances == there
    assert (image.pixels == 0).all()
    assert (result.geometry, result.labels) == (found.geometry, found.labels)
    assert set(np.unique(result.classes)) <= {0, 1, 2}
    assert (result.probabilities.argmax(0) == result.classes).all()
    for instance in result.instances:
        assert instance.mask.any()
        assert (result.mask(instance.label)[instance.box] >= instance.mask).all()
    empty = np.stack([np.full(shape, value == 0, np.float32) for value in range(3)])
    nothing = segmentation(np.zeros(shape, np.uint8), probabilities=empty)
    assert not step(nothing, image).classes.any()
    again = step(found, image)
    assert (again.classes == result.classes).all()


@every
def test_every_set_of_arguments_that_is_tried_is_accepted(name):
    shape = (24, 20)
    classes = np.zeros(shape, np.uint8)
    classes[4:14, 3:15] = 1
    maps = np.stack([classes == value for value in range(3)]).astype(np.float32)
    found = segmentation(classes, probabilities=maps)
    image = Image(np.zeros((3, *shape), np.uint8), found.geometry)
    sets = tried_by(resolve("refine", name))
    assert len({str(one) for one in sets}) == len(sets)
    for arguments in sets:
        assert isinstance(build("refine", Call(name, arguments))(found, image), Segmentation)


def test_tried_keeps_its_sets_in_order_and_needs_one():
    @tried({}, {"count": 2})
    def first(count=1):
        return lambda found, image: found

    assert first.tried == tried_by(first) == ({}, {"count": 2})
    assert tried_by(refined) == ()
    with pytest.raises(ValueError, match="at least one"):
        tried()


BAD = {
    "inventing": "    return lambda found, image: found.changed(found.classes + 5)\n",
    "spoiling": "    def step(found, image):\n        found.classes[:] = 0\n        return found\n    return step\n",
    "careless": "    return lambda found, image: replace(found, classes=0 * found.classes)\n",
    "array": "    return lambda found, image: found.classes\n",
    "filling": "    return lambda found, image: found.changed(0 * found.classes + 1)\n",
    "dreaming": "    return lambda found, image: found.changed("
                "found.classes * (np.random.random(found.classes.shape) < 0.5))\n",
}  # fmt: skip


BAD_TRIED = "from delineate.refine import tried\n@tried({}, {'size': 3})\n"


def test_arguments_that_a_step_does_not_take_break_the_contract(add_file, broken):
    add_file(
        "refine",
        "untested",
        f"{BAD_TRIED}def untested(count: int = 1):\n    return lambda found, image: found\n",
    )
    assert "takes no argument 'size'" in broken("untested")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_step_breaks_the_contract(name, add_file, broken):
    head = "import numpy as np\nfrom dataclasses import replace\n"
    add_file("refine", name, f"{head}def {name}():\n{BAD[name]}")
    assert broken(name)


def test_a_step_of_no_name_keeps_the_contract(add_file, broken):
    add_file(
        "refine",
        "first_label",
        "from delineate.arguments import Count\ndef first_label(count: Count):\n"
        "    return lambda found, image: found.changed(found.classes * (found.classes <= count))\n",
    )
    assert broken("first_label") is None


def test_a_part_that_is_dropped_becomes_what_includes_it():
    labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2)))
    classes = np.array([[1, 1, 2, 1, 1, 0, 2, 0]], np.uint8)
    found = Segmentation(classes, labels, Geometry.in_pixels((1, 8)))
    image = Image(np.zeros((1, 1, 8)), found.geometry)
    assert remove_small_objects(2)(found, image).classes.tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]]
    only = remove_small_objects(2, labels=["tumour"])(found, image)
    assert only.classes.tolist() == [[1, 1, 1, 1, 1, 0, 1, 0]]


NESTED = LabelSet((Label("tumour", 2), Label("liver", 1, includes=("tumour",))))


def nested(step, rows):
    classes = np.array(rows, np.uint8)
    grid = Geometry.in_pixels(classes.shape)
    return refined(step, Segmentation(classes, NESTED, grid))


def test_a_hole_becomes_the_innermost_label_that_encloses_it():
    rows = [
        [1, 1, 1, 1, 1, 1, 1, 1],
        [1, 2, 2, 2, 1, 1, 1, 1],
        [1, 2, 0, 2, 1, 0, 2, 1],
        [1, 2, 2, 2, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ]
    assert nested(fill_holes(), rows)[2] == [1, 2, 2, 2, 1, 1, 2, 1]
    assert nested(fill_holes(labels=["tumour"]), rows)[2] == [1, 2, 2, 2, 1, 0, 2, 1]


def test_a_region_is_kept_or_dropped_with_what_it_includes():
    rows = [[1, 2, 1, 0, 2, 1, 0, 2]]  # three livers, each with a tumour
    assert nested(keep_largest_component(), rows) == [[1, 2, 1, 0, 0, 0, 0, 0]]
    assert nested(keep_largest_component(labels=["liver"]), rows) == [[1, 2, 1, 0, 0, 0, 0, 0]]
    assert nested(keep_largest_component(labels=["tumour"]), rows) == [[1, 2, 1, 0, 1, 1, 0, 1]]
    assert nested(remove_small_objects(2, labels=["liver"]), rows) == [[1, 2, 1, 0, 2, 1, 0, 0]]
