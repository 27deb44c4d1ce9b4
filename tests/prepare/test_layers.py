"""A truth on its way to the network: nothing is lost but what leaves the field of view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.prepare import Layers, load_prepare
from delineate.prepare.augment import case_rng, load_augment
from delineate.resolve import Call

LABELS = LabelSet(
    (
        Label("left", 3, "thing"),
        Label("right", 4, "thing"),
        Label("organ", 9),
        Label("void", 200, "ignore"),
    )
)
AFFINE = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [-2.0, 0, 0, 0], [0, 0, 0, 1.0]])


def truth(rng, ndim=2, objects=6, shape=None):
    """Things over stuff, some of which overlap."""
    shape = (31, 44, 23)[:ndim] if shape is None else shape
    classes = rng.choice(np.array([0, 9, 200], np.uint8), shape)
    instances = []
    for number in range(objects):
        size = rng.integers(1, np.array(shape) // 2)
        start = rng.integers(0, np.array(shape) - size + 1)
        mask = rng.random(size) < 0.8
        name = ("left", "right")[number % 2]
        instance = Instance(name, number / 10, mask, tuple(map(int, start)), number == 3)
        classes[instance.box][mask] = LABELS[name].value
        instances.append(instance)
    geometry = Geometry.in_patient(shape, AFFINE[:, 3 - ndim :])
    return Segmentation(
        classes, LABELS, geometry, tuple(instances), {"quality": 0.5}, {"organ": None}
    )


def masks(segmentation):
    """Each instance on the whole grid, by its score, which tells them apart here."""
    found = {}
    for instance in segmentation.instances:
        found[instance.score] = np.zeros(segmentation.classes.shape, bool)
        found[instance.score][instance.box] = instance.mask
    return found


def union(segmentation, name):
    found = np.zeros(segmentation.classes.shape, bool)
    for instance in segmentation.instances:
        if instance.label == name:
            found[instance.box] |= instance.mask
    return found


def only(mask, like):
    """A truth whose label map shows one mask."""
    return Segmentation(mask.astype(np.uint8) * 9, LABELS, like.geometry)


seeds = st.integers(0, 10**6)
CHAINS = [
    [Call("resize", {"shape": [16, 50, 13]})],
    [
        Call("resize", {"shape": [64, 64, 30], "keep_aspect": True}),
        Call("crop", {"shape": [40, 30, 30]}),
    ],
    [
        Call("orient", {"axes": "SPL"}),
        Call("resample", {"spacing": 1.1}),
        Call("pad", {"multiple": 8}),
    ],
    [
        Call("crop", {"shape": [20, 60, 9]}),
        Call("resize", {"shape": [9, 9, 9]}),
        Call("pad", {"multiple": 5}),
    ],
]


def chain(number, ndim):
    calls = []
    for call in CHAINS[number]:
        args = {k: v[:ndim] if k == "shape" else v for k, v in call.args.items()}
        calls.append(
            Call(call.name, args if call.name != "orient" else {"axes": ("LA", "SPL")[ndim - 2]})
        )
    return load_prepare(calls)


@given(seed=seeds, ndim=st.sampled_from([2, 3]), number=st.integers(0, len(CHAINS) - 1))
@settings(max_examples=30, deadline=None)
def test_instances_of_a_label_are_prepared_to_what_their_union_is(seed, ndim, number):
    given_truth = truth(np.random.default_rng(seed), ndim)
    prepare = chain(number, ndim)
    prediction = prepare.truth(given_truth)
    before = {i.score: i for i in given_truth.instances}
    for name in ("left", "right"):
        expected = prepare.truth(only(union(given_truth, name), given_truth)).classes > 0
        np.testing.assert_array_equal(union(prediction, name), expected)
    for instance in prediction.instances:
        known = before[instance.score]
        assert (instance.label, instance.crowd) == (known.label, known.crowd)
        assert instance.mask.any()
    assert prediction.geometry == prepare.grid(given_truth.geometry)
    assert (prediction.scores, prediction.present) == (given_truth.scores, given_truth.present)
    np.testing.assert_array_equal(
        prediction.classes, prepare.truth(given_truth, instances=False).classes
    )
    assert not prepare.truth(given_truth, instances=False).instances


@given(seed=seeds, ndim=st.sampled_from([2, 3]))
@settings(max_examples=25, deadline=None)
def test_every_instance_is_warped_as_its_own_mask_would_be(seed, ndim):
    rng = np.random.default_rng(seed)
    given_truth = truth(rng, ndim)
    pixels = np.zeros((3, *given_truth.classes.shape), np.uint8)
    names = ["rotate", "scale", "shift", "elastic", "flip"]
    augment = load_augment([Call(name, {"p": 1.0}) for name in names], LABELS)
    _, layers = augment(pixels, Layers.of(given_truth), case_rng(0, 0, seed))
    prediction = masks(layers.segmentation())
    for score, mask in masks(given_truth).items():
        alone = Layers(mask.astype(np.uint8) * np.uint8(9), LABELS)
        _, expected = augment(pixels, alone, case_rng(0, 0, seed))
        np.testing.assert_array_equal(
            prediction.get(score, np.zeros(mask.shape, bool)), expected.classes > 0
        )


@given(seed=seeds, ndim=st.sampled_from([2, 3]))
@settings(max_examples=15, deadline=None)
def test_a_flip_twice_is_none_and_gives_every_instance_back(seed, ndim):
    given_truth = truth(np.random.default_rng(seed), ndim)
    pixels = np.zeros((1, *given_truth.classes.shape), np.uint8)
    flip = load_augment([Call("flip", {"p": 1.0})], LABELS)
    layers = Layers.of(given_truth)
    for _ in range(2):
        _, layers = flip(pixels, layers, case_rng(0, 0, 0))
    again = layers.segmentation(given_truth.geometry)
    np.testing.assert_array_equal(again.classes, given_truth.classes)
    before, after = masks(given_truth), masks(again)
    before = {score: mask for score, mask in before.items() if mask.any()}
    assert before.keys() == after.keys()
    for score, mask in before.items():
        np.testing.assert_array_equal(after[score], mask)


@given(seed=seeds, ndim=st.sampled_from([2, 3]), objects=st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_layers_give_back_the_segmentation_they_are_of(seed, ndim, objects):
    given_truth = truth(np.random.default_rng(seed), ndim, objects)
    layers = Layers.of(given_truth)
    again = layers.segmentation(given_truth.geometry)
    assert again.classes is given_truth.classes
    assert (again.scores, again.present) == (given_truth.scores, given_truth.present)
    there = [i for i in given_truth.instances if i.mask.any()]
    assert [(i.label, i.score, i.crowd) for i in again.instances] == [
        (i.label, i.score, i.crowd) for i in there
    ]
    for before, after in zip(there, again.instances, strict=True):
        whole = np.zeros(again.classes.shape, bool)
        whole[before.box] = before.mask
        expected = np.zeros_like(whole)
        expected[after.box] = after.mask
        np.testing.assert_array_equal(whole, expected)


def test_objects_that_do_not_overlap_share_a_layer_and_a_plain_truth_has_none():
    square = np.ones((4, 4), bool)
    at = [(0, 0), (8, 0), (2, 2), (8, 8)]
    instances = tuple(Instance("left", 1.0, square, start) for start in at)
    plain = Segmentation(np.zeros((20, 20), np.uint8), LABELS, Geometry.in_pixels((20, 20)))
    assert Layers.of(plain).numbers is None
    layers = Layers.of(Segmentation(plain.classes, LABELS, plain.geometry, instances))
    assert layers.numbers.shape == (2, 20, 20)
    assert layers.numbers.dtype == np.uint8
    assert set(np.unique(layers.numbers[0])) == {0, 1, 2, 4}


def test_touching_objects_keep_no_gap_between_them_when_they_shrink():
    stripes = tuple(
        Instance("left", 1.0, np.ones((30, 3), bool), (0, 3 * column)) for column in range(20)
    )
    whole = Segmentation(
        np.full((30, 60), 3, np.uint8), LABELS, Geometry.in_pixels((30, 60)), stripes
    )
    found = load_prepare([Call("resize", {"shape": [15, 26]})]).truth(whole)
    assert union(found, "left").all()
    assert sum(i.mask.sum() for i in found.instances) == 15 * 26  # and no sample is of two
    assert len(found.instances) == 20


def test_an_object_that_leaves_the_field_of_view_goes_and_the_others_stay():
    instances = (
        Instance("left", 0.1, np.ones((3, 3), bool), (0, 0)),
        Instance("right", 0.9, np.ones((3, 3), bool), (9, 9), crowd=True),
    )
    whole = Segmentation(
        np.zeros((20, 20), np.uint8), LABELS, Geometry.in_pixels((20, 20)), instances
    )
    (found,) = load_prepare([Call("crop", {"shape": [8, 8]})]).truth(whole).instances
    assert (found.label, found.score, found.crowd, found.start) == ("right", 0.9, True, (3, 3))


def test_a_flip_that_swaps_labels_swaps_those_of_objects_and_of_the_image():
    flip = load_augment(
        [Call("flip", {"axes": [-1], "p": 1.0, "swap": [["left", "right"]]})], LABELS
    )
    instance = Instance("left", 0.5, np.ones((2, 2), bool), (0, 0))
    classes = np.zeros((6, 8), np.uint8)
    classes[:2, :2] = 3
    whole = Segmentation(
        classes, LABELS, Geometry.in_pixels((6, 8)), (instance,), {}, {"left": True, "organ": False}
    )
    _, layers = flip(np.zeros((1, 6, 8), np.uint8), Layers.of(whole), case_rng(0, 0, 0))
    found = layers.segmentation()
    assert found.present == {"right": True, "organ": False}
    assert (found.instances[0].label, found.instances[0].start) == ("right", (0, 6))
    assert (found.classes[:2, 6:] == 4).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_truth_of_image_level_labels_stays_one(ndim):
    shape = (20, 30, 12)[:ndim]
    image_level = Segmentation(
        np.zeros(shape, np.uint8),
        LABELS,
        Geometry.in_patient(shape, AFFINE[:, 3 - ndim :]),
        present={"left": True, "right": None},
        outlined=False,
    )
    found = chain(0, ndim).truth(image_level)
    assert not found.outlined
    assert found.present == image_level.present
    augment = load_augment([Call("rotate", {"p": 1.0})], LABELS)
    pixels = np.zeros((1, *found.classes.shape), np.uint8)
    _, layers = augment(pixels, Layers.of(found), case_rng(0, 0, 0))
    assert layers.segmentation().present == image_level.present


def test_more_objects_than_two_bytes_count_are_kept_apart():
    count = 65_600
    one = np.ones((1, 1), bool)
    instances = tuple(Instance("left", 1.0, one, divmod(n, 300)) for n in range(count))
    shape = (300, 300)
    whole = Segmentation(np.zeros(shape, np.uint8), LABELS, Geometry.in_pixels(shape), instances)
    layers = Layers.of(whole)
    pixels = np.zeros((1, *shape), np.uint8)
    turned = load_augment([Call("rotate", {"degrees": (90, 90), "p": 1.0})], LABELS)
    mirrored = load_augment([Call("flip", {"p": 1.0})], LABELS)
    warped = load_augment([Call("shift", {"p": 1.0})], LABELS)
    for augment in (turned, mirrored, warped):
        _, found = augment(pixels, layers, case_rng(0, 0, 0))
        assert found.numbers.max() > 65_535
        assert set(np.unique(found.numbers)) <= set(range(count + 1))
