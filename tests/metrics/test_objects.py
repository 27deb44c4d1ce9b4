import numpy as np
import pytest

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics._objects import objects, segments

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2, "thing")))
TUMOUR, LIVER = LABELS["tumour"], LABELS["liver"]


def segmentation(classes, instances=(), probabilities=None):
    classes = np.asarray(classes, np.uint8)
    geometry = Geometry.in_pixels(classes.shape)
    return Segmentation(classes, LABELS, geometry, instances, probabilities=probabilities)


def painted(one, shape):
    whole = np.zeros(shape, bool)
    whole[one.box] = one.mask
    return whole


def test_a_thing_falls_into_components_and_stuff_is_one_object():
    s = segmentation([[2, 0, 1, 0, 1], [0, 2, 0, 0, 0], [0, 0, 0, 2, 2]])
    first, second = objects(s, TUMOUR)
    assert first.start == (0, 0)
    assert first.mask.tolist() == [[True, False], [False, True]]  # corners connect
    assert second.start == (2, 3)
    assert second.mask.all()
    (liver,) = objects(s, LIVER)
    assert liver.mask.tolist() == [[True, False, True]]
    assert objects(segmentation(np.zeros((3, 3))), LIVER) == []
    assert objects(segmentation(np.zeros((3, 3))), TUMOUR) == []


def test_corners_do_not_connect_where_faces_are_asked_for():
    checks = np.indices((2, 2, 2)).sum(axis=0) % 2 * 2
    assert len(objects(segmentation(checks), TUMOUR)) == 1
    assert segments(segmentation(checks), LABELS, faces=True).numbers.max() == 4


def test_scores_are_of_the_instance_then_of_the_probabilities_then_one():
    classes = [[2, 2, 0, 2]]
    assert [one.score for one in objects(segmentation(classes), TUMOUR)] == [1, 1]
    probabilities = np.array([[[0, 0, 0, 0]], [[0, 0, 0, 0]], [[0.5, 0.7, 0, 0.9]]], np.float32)
    s = segmentation(classes, probabilities=probabilities)
    assert [one.score for one in objects(s, TUMOUR)] == pytest.approx([0.6, 0.9])
    one = Instance("tumour", 0.3, np.ones((1, 3), bool), (0, 0))
    assert objects(segmentation(classes, (one,), probabilities), TUMOUR) == [one]


def test_overlapping_instances_are_drawn_by_score_then_order_and_crowds_last():
    def bar(score, start, crowd=False):
        return Instance("tumour", score, np.ones((1, 3), bool), (0, start), crowd)

    s = segmentation(np.zeros((1, 9)), (bar(0.9, 4, True), bar(0.5, 0), bar(0.8, 2), bar(0.5, 1)))
    drawn = segments(s, LABELS)
    assert drawn.numbers.tolist() == [[2, 2, 3, 3, 3, 1, 1, 0, 0]]
    assert drawn.places.tolist() == [-1, 1, 1, 1, 1]
    assert drawn.crowd.tolist() == [False, True, False, False, False]


def test_every_label_is_numbered_once_whatever_their_number():
    classes = np.zeros((60, 60), np.uint8)
    classes[::2, ::2] = 2
    classes[1, 1] = 1
    drawn = segments(segmentation(classes), LABELS)
    assert sorted(np.unique(drawn.numbers)) == list(range(902))
    assert np.array_equal(drawn.places[drawn.numbers] == 1, classes == 2)
    assert np.array_equal(drawn.places[drawn.numbers] == 0, classes == 1)


def test_one_sample_thick_grids_are_numbered_right():
    classes = np.zeros((1, 7, 1), np.uint8)
    classes[0, [0, 1, 3, 6], 0] = 2
    assert [one.start for one in objects(segmentation(classes), TUMOUR)] == [
        (0, 0, 0),
        (0, 3, 0),
        (0, 6, 0),
    ]


def test_an_instance_comes_back_where_it_was():
    rng = np.random.default_rng(0)
    classes = (rng.random((6, 7, 8)) < 0.1) * np.uint8(2)
    s = segmentation(classes)
    union = sum(painted(one, classes.shape).astype(int) for one in objects(s, TUMOUR))
    assert np.array_equal(union, classes == 2)
