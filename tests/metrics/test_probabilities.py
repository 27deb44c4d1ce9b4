"""What metrics of probabilities are given."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import _pair
from delineate.metrics._pair import probabilities

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2), Label("unsure", 9, "ignore")))
TRUTH = np.array([[0, 1], [9, 2]], np.uint8)


def pair(values, labels=LABELS, dtype=np.float32):
    grid = Geometry.in_pixels((2, 2))
    given = None if values is None else np.asarray(values, dtype).reshape(3, 2, 2)
    classes = np.zeros((2, 2), np.uint8)
    found = Segmentation(classes, labels, grid, probabilities=given)
    return found, Segmentation(TRUTH, LABELS, grid)


def test_labels_are_matched_by_name_and_what_is_ignored_is_left_out():
    turned = LabelSet((Label("tumour", 4), Label("liver", 5)))
    pairs = list(probabilities(*pair(np.arange(12) / 12, turned)))
    assert [label.name for label, _ in pairs] == ["liver", "tumour"]
    ((liver, there),), ((tumour, _),) = (list(samples) for _, samples in pairs)
    np.testing.assert_allclose(liver, np.array([8, 9, 11]) / 12)
    np.testing.assert_allclose(tumour, np.array([4, 5, 7]) / 12)
    assert there.tolist() == [False, True, False]
    assert [len(samples) for _, samples in pairs] == [3, 3]


@pytest.mark.parametrize("shape", [(1,), (50,), (7, 9), (5, 6, 7), (2, 3, 40)])
def test_parts_of_a_grid_are_all_of_it_in_order(monkeypatch, shape):
    monkeypatch.setattr(_pair, "CHUNK", 20)
    grid = np.arange(np.prod(shape)).reshape(shape)
    pieces = [grid[part].ravel() for part in _pair.parts(shape)]
    assert max(map(len, pieces)) <= 20 or len(shape) == 1
    np.testing.assert_array_equal(np.concatenate(pieces), grid.ravel())


def test_rounding_beyond_0_and_1_is_cut_off():
    prediction, truth = pair([1, 1, 1, 1, -1e-5, 0, 0, 0, 1.0001, 0.5, 0.5, 0.5], dtype=np.float64)
    ((liver, _),), ((tumour, _),) = (
        list(samples) for _, samples in probabilities(prediction, truth)
    )
    assert (liver.min(), tumour.max(), tumour.dtype) == (0, 1, np.float32)
    assert prediction.probabilities.max() > 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (None, "needs probabilities, and the prediction has none"),
        (np.linspace(-3, 5, 12), r"go from -3 to 5; expected 0 to 1. Are they logits\?"),
        (np.full(12, np.nan), "from nan to nan"),
    ],
)
def test_refuses_what_is_no_probability(values, says):
    with pytest.raises(ValueError, match=says):
        list(probabilities(*pair(values)))
