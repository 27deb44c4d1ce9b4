import numpy as np
import pytest

from delineate.core import Objects, Output, Probabilities, Target


def objects(count):
    return Objects(np.ones((count, 2)), np.zeros((count, 2, 3)), np.zeros((count, 4, 4, 4)))


def test_map_reaches_every_array_of_every_head():
    output = Output(
        np.zeros((1, 2, 8, 8)),
        (np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 2, 2))),
        np.zeros((1, 3)),
        (objects(5),),
    )
    shapes = output.map(np.shape)
    assert shapes.dense == (1, 2, 8, 8)
    assert shapes.sides == ((1, 2, 4, 4), (1, 2, 2, 2))
    assert shapes.image == (1, 3)
    assert shapes.objects[0].masks == (5, 4, 4, 4)
    assert output.heads == ("dense", "image", "objects")
    assert Output(image=np.zeros((1, 3))).map(np.shape).dense is None


def test_a_head_that_is_missing_is_named():
    with pytest.raises(ValueError, match="no dense head; it has image"):
        _ = Output(image=np.zeros((1, 1))).logits
    with pytest.raises(ValueError, match="no image head; it has none"):
        _ = Output().image_logits


def test_targets_of_single_images_become_one_of_a_batch():
    shown = np.array([[True, False]])
    first = Target(np.zeros((1, 2), int), shown, image=np.array([1.0]), objects=(objects(1),))
    second = Target(np.ones((1, 2), int), None, image=np.array([0.0]), objects=(objects(3),))
    batch = Target.stack([first, second])
    assert batch.classes.tolist() == [[[0, 0]], [[1, 1]]]
    assert batch.valid.tolist() == [[[True, False]], [[True, True]]]
    assert batch.image.tolist() == [[1.0], [0.0]]
    assert [len(each.scores) for each in batch.objects] == [1, 3]
    assert batch.regions is None
    assert Target.stack([second]).valid is None


def test_maps_say_what_lies_outside_them():
    with pytest.raises(ValueError, match="outside has 1 values for 2 maps"):
        Probabilities(np.zeros((2, 4, 4), np.float32), (0.0,))
