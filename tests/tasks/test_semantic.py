import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Geometry, Label, LabelSet, Output, Probabilities, Segmentation
from delineate.tasks.semantic import semantic

ONE = LabelSet((Label("polyp", 7),))
MANY = LabelSet((Label("liver", 1), Label("spleen", 300), Label("unsure", 255, "ignore")))


def decoded(task, logits, grid):
    return task.decide(task.read(Output(logits), grid), grid)


@pytest.mark.parametrize("labels", [ONE, MANY])
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_is_encoded_is_decoded(labels, data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    values = st.sampled_from((0, *labels.values))
    classes = data.draw(hnp.arrays(np.uint16, shape, elements=values))
    truth = Segmentation(classes, labels, Geometry.in_pixels(shape))
    task = semantic(labels)
    target = task.encode(truth)
    channels = np.arange(len(labels) + 1).reshape(-1, *[1] * len(shape))
    logits = np.where(target.classes == channels, 9.0, -9.0).astype(np.float32)
    logits = logits[1:] if task.heads["dense"] == 1 else logits
    prediction = decoded(task, logits[None], truth.geometry)
    assert (prediction.classes == classes).all()
    assert prediction.probabilities.sum(axis=0) == pytest.approx(1, abs=1e-5)


def test_ignored_pixels_become_background_and_invalid():
    truth = Segmentation(
        np.array([[255, 300], [0, 1]], np.uint16), MANY, Geometry.in_pixels((2, 2))
    )
    target = semantic(MANY).encode(truth)
    assert target.classes.tolist() == [[0, 2], [0, 1]]
    assert target.valid.tolist() == [[False, True], [True, True]]


def test_a_draw_is_background_and_extremes_do_not_overflow():
    logits = np.array([[[[0.0, 1e4, -1e4]]]], np.float32)
    found = decoded(semantic(ONE), logits, Geometry.in_pixels((1, 3)))
    assert found.classes.tolist() == [[0, 7, 0]]
    assert np.isfinite(found.probabilities).all()


def test_an_output_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected \(1, 1, 4, 4\)"):
        semantic(ONE).read(Output(np.zeros((1, 2, 4, 4))), Geometry.in_pixels((4, 4)))


def test_a_threshold_decides_how_likely_a_label_has_to_be():
    grid = Geometry.in_pixels((1, 2))
    one = Probabilities(np.array([[[0.3, 0.6]]], np.float32), (0.0,))
    assert semantic(ONE, threshold=0.3).decide(one, grid).classes.tolist() == [[7, 7]]
    assert semantic(ONE, threshold=0.65).decide(one, grid).classes.tolist() == [[0, 0]]
    maps = np.array([[0.5, 0.7], [0.2, 0.3], [0.3, 0.0]], np.float32)[:, None]
    many = Probabilities(maps, (1.0, 0.0, 0.0))
    assert semantic(MANY).decide(many, grid).classes.tolist() == [[0, 0]]
    assert semantic(MANY, threshold=0.4).decide(many, grid).classes.tolist() == [[300, 0]]
    with pytest.raises(ValueError, match=r"threshold is 1.0; expected a number between 0 and 1"):
        semantic(ONE, threshold=1.0)


def test_a_network_without_a_dense_head_is_told_so():
    with pytest.raises(ValueError, match="the network has no dense head; it has image"):
        semantic(ONE).read(Output(image=np.zeros((1, 1))), Geometry.in_pixels((4, 4)))


def test_a_label_is_as_probable_as_it_and_what_it_includes_together():
    labels = LabelSet((Label("tumour", 2), Label("liver", 1, includes=("tumour",))))
    grid = Geometry.in_pixels((1, 2))
    maps = np.array([[0.2, 0.1], [0.3, 0.5], [0.5, 0.4]], np.float32)[:, None]
    found = semantic(labels).decide(Probabilities(maps, (1.0, 0.0, 0.0)), grid)
    assert found.classes.tolist() == [[1, 2]]
    np.testing.assert_allclose(found.probabilities[:, 0], [[0.2, 0.1], [0.3, 0.5], [0.8, 0.9]])
    assert maps[2, 0, 0] == np.float32(0.5)  # inputs stay as they are
