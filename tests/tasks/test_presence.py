import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Output, Segmentation
from delineate.tasks.presence import presence

LABELS = LabelSet((Label("pneumothorax", 1), Label("device", 3)))
GRID = Geometry.in_pixels((2, 2))


def truth(rows, **scores):
    named = {f"presence of {name}": score for name, score in scores.items()}
    return Segmentation(np.array(rows, np.uint8), LABELS, GRID, scores=named)


def test_a_label_is_there_if_the_mask_or_the_data_say_so():
    task = presence(LABELS)
    assert task.encode(truth([[0, 3], [0, 0]])).image.tolist() == [0, 1]
    known = task.encode(truth([[0, 3], [0, 0]], pneumothorax=1.0, device=float("nan"))).image
    assert known[0] == 1
    assert np.isnan(known[1])


def test_what_is_read_is_the_probability_of_each_label():
    task = presence(LABELS)
    output = Output(image=np.array([[0.0, -1e4]], np.float32))
    prediction = task.decide(task.read(output, GRID), GRID)
    assert not prediction.classes.any()
    assert prediction.presence("pneumothorax") == 0.5
    assert prediction.presence("device") == 0.0
    with pytest.raises(ValueError, match=r"\(1, 3\); expected \(1, 2\)"):
        task.read(Output(image=np.zeros((1, 3))), GRID)
    with pytest.raises(ValueError, match="no image head; it has dense"):
        task.read(Output(np.zeros((1, 2, 2, 2))), GRID)
