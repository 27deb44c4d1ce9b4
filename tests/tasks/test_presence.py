import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Output, Segmentation
from delineate.tasks.presence import presence

LABELS = LabelSet((Label("pneumothorax", 1), Label("device", 3)))
GRID = Geometry.in_pixels((2, 2))


def truth(rows, **present):
    return Segmentation(np.array(rows, np.uint8), LABELS, GRID, present=present)


def test_a_label_is_there_if_the_mask_or_the_data_say_so():
    task = presence(LABELS)
    assert task.encode(truth([[0, 3], [0, 0]])).image.tolist() == [0, 1]
    known = task.encode(truth([[0, 3], [0, 0]], pneumothorax=True, device=None)).image
    assert known[0] == 1
    assert np.isnan(known[1])


def test_what_is_read_is_the_probability_of_each_label():
    task = presence(LABELS)
    output = Output(image=np.array([[0.0, -1e4]], np.float32))
    prediction = task.decide(task.read(output, GRID), GRID)
    assert not prediction.classes.any()
    assert prediction.scores == {"presence of pneumothorax": 0.5, "presence of device": 0.0}
    assert prediction.present == {"pneumothorax": True, "device": False}
    assert not prediction.outlined
    with pytest.raises(ValueError, match=r"\(1, 3\); expected \(1, 2\)"):
        task.read(Output(image=np.zeros((1, 3))), GRID)
    with pytest.raises(ValueError, match="no image head; it has dense"):
        task.read(Output(np.zeros((1, 2, 2, 2))), GRID)


def test_the_threshold_decides_what_an_image_shows():
    task = presence(LABELS, threshold=0.7)
    output = Output(image=np.array([[0.0, 3.0]], np.float32))
    prediction = task.decide(task.read(output, GRID), GRID)
    assert prediction.present == {"pneumothorax": False, "device": True}
