import numpy as np
import pytest

from delineate.core import Geometry, Image, Instance, Label, LabelSet, Segmentation

LABELS = LabelSet((Label("polyp", 2), Label("unsure", 9, "ignore")))
GRID = Geometry.in_pixels((2, 3))


def test_masks_by_name_and_what_is_valid():
    classes = np.array([[0, 2, 2], [9, 0, 2]], dtype=np.uint8)
    found = Segmentation(classes, LABELS, GRID)
    assert found.mask("polyp").tolist() == [[False, True, True], [False, False, True]]
    assert found.valid.tolist() == [[True, True, True], [False, True, True]]
    assert Segmentation(classes * (classes != 9), LABELS, GRID).valid is None


def test_shapes_and_types_are_held():
    with pytest.raises(ValueError, match="geometry"):
        Segmentation(np.zeros((3, 2), np.uint8), LABELS, GRID)
    with pytest.raises(ValueError, match="unsigned"):
        Segmentation(np.zeros((2, 3)), LABELS, GRID)
    with pytest.raises(ValueError, match=r"expected \(2, 2, 3\)"):
        Segmentation(
            np.zeros((2, 3), np.uint8), LABELS, GRID, probabilities=np.zeros((3, 2, 3), np.float32)
        )
    with pytest.raises(ValueError, match="channel"):
        Image(np.zeros((2, 3)), GRID)


def test_an_instance_knows_its_box():
    one = Instance("polyp", 0.9, np.ones((2, 5), bool), (10, 20))
    assert one.box == (slice(10, 12), slice(20, 25))


def test_a_changed_map_takes_instances_and_probabilities_along():
    labels = LabelSet((Label("liver", 1, includes=("tumour",)), Label("tumour", 2, "thing")))
    classes = np.array([[1, 2, 2, 0, 2]], np.uint8)
    instances = (
        Instance("tumour", 0.9, np.ones((1, 2), bool), (0, 1)),
        Instance("tumour", 0.4, np.ones((1, 1), bool), (0, 4)),
    )
    maps = np.array([[[0.1, 0.2, 0.2, 0.9, 0.4]], [[0.9] * 5], [[0.1, 0.8, 0.8, 0.1, 0.6]]])
    found = Segmentation(
        classes,
        labels,
        Geometry.in_pixels((1, 5)),
        instances,
        probabilities=maps.astype(np.float32),
    )
    after = found.changed(np.array([[1, 2, 1, 0, 0]], np.uint8))
    (kept,) = after.instances
    assert kept.score == 0.9
    assert kept.mask.tolist() == [[True, False]]
    assert after.probabilities[:, 0, 2].tolist() == [0, 1, 0]
    assert after.probabilities[:, 0, 4].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(after.probabilities[..., :2], found.probabilities[..., :2])
    assert found.classes.tolist() == [[1, 2, 2, 0, 2]]
    assert found.probabilities[2, 0, 4] == np.float32(0.6)


def test_an_image_level_label_is_what_the_data_say_or_else_what_the_map_shows():
    labels = LabelSet((Label("a", 1), Label("b", 2), Label("c", 3)))
    classes = np.array([[0, 1]], np.uint8)
    grid = Geometry.in_pixels((1, 2))
    known = Segmentation(classes, labels, grid, present={"b": True, "c": None})
    assert [known.shows(name) for name in labels.names] == [True, True, None]
    bare = Segmentation(np.zeros_like(classes), labels, grid, present={"b": False}, outlined=False)
    assert [bare.shows(name) for name in labels.names] == [None, False, None]


def test_a_map_without_outlines_is_empty_and_image_level_labels_are_those_of_the_problem():
    labels = LabelSet((Label("a", 1),))
    grid = Geometry.in_pixels((1, 2))
    with pytest.raises(ValueError, match="outlined is False, but"):
        Segmentation(np.array([[0, 1]], np.uint8), labels, grid, outlined=False)
    with pytest.raises(ValueError, match="present names 'd'; expected labels of a"):
        Segmentation(np.zeros((1, 2), np.uint8), labels, grid, present={"d": True})


def test_there_is_no_mask_where_nothing_is_outlined():
    labels = LabelSet((Label("a", 1),))
    bare = Segmentation(
        np.zeros((1, 2), np.uint8), labels, Geometry.in_pixels((1, 2)), outlined=False
    )
    with pytest.raises(
        ValueError, match="only image-level labels are known, so there is no mask of 'a'"
    ):
        bare.mask("a")
