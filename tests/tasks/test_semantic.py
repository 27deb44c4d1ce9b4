import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Geometry, Label, LabelSet, Output, Segmentation
from delineate.tasks.semantic import semantic

ONE = LabelSet((Label("polyp", 7),))
MANY = LabelSet((Label("liver", 1), Label("spleen", 300), Label("unsure", 255, "ignore")))


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
    logits = logits[1:] if task.channels == 1 else logits
    found = task.decode(Output(logits[None]), truth.geometry)
    assert (found.classes == classes).all()
    assert found.probabilities.sum(axis=0) == pytest.approx(1, abs=1e-5)


def test_ignored_pixels_become_background_and_invalid():
    truth = Segmentation(
        np.array([[255, 300], [0, 1]], np.uint16), MANY, Geometry.in_pixels((2, 2))
    )
    target = semantic(MANY).encode(truth)
    assert target.classes.tolist() == [[0, 2], [0, 1]]
    assert target.valid.tolist() == [[False, True], [True, True]]


def test_a_draw_is_background_and_extremes_do_not_overflow():
    logits = np.array([[[[0.0, 1e4, -1e4]]]], np.float32)
    found = semantic(ONE).decode(Output(logits), Geometry.in_pixels((1, 3)))
    assert found.classes.tolist() == [[0, 7, 0]]
    assert np.isfinite(found.probabilities).all()


def test_an_output_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected \(1, 1, 4, 4\)"):
        semantic(ONE).decode(Output(np.zeros((1, 2, 4, 4))), Geometry.in_pixels((4, 4)))
