"""The confusion matrix behind the overlap metrics."""

import numpy as np
import pytest

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import counts


def segmentation(classes, labels, geometry=None):
    return Segmentation(classes, labels, geometry or Geometry.in_pixels(classes.shape))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("values", "dtype"),
    [((1, 2, 3), np.uint8), ((7, 90, 255), np.uint8), ((5, 300, 65535), np.uint16), ((1, 20), np.uint32)],
)  # fmt: skip
def test_every_range_of_values_is_counted_alike(values, dtype, order):
    labels = LabelSet(tuple(Label(f"organ {v}", v) for v in values))
    rng = np.random.default_rng(0)
    # More than one chunk, and not a whole number of them; the last chunk alone has a large value.
    prediction, truth = (
        np.asarray(rng.choice((0, *values), size=(601, 31, 17)).astype(dtype), order=order)
        for _ in range(2)
    )
    n = counts(segmentation(prediction, labels), segmentation(truth, labels))
    expected = [
        [np.sum((prediction == f) & (truth == t)) for t in (0, *values)] for f in (0, *values)
    ]
    np.testing.assert_array_equal(n.matrix, expected)
    for i, value in enumerate(values):
        f, t = prediction == value, truth == value
        assert (n.tp[i], n.fp[i]) == ((f & t).sum(), (f & ~t).sum())
        assert (n.fn[i], n.tn[i]) == ((~f & t).sum(), (~f & ~t).sum())


def test_a_boolean_map_is_a_label_map():
    labels = LabelSet((Label("polyp", 1),))
    mask = np.array([[True, False]])
    assert counts(segmentation(mask, labels), segmentation(mask, labels)).tp == [1]


def test_counts_above_2_to_the_24_are_exact():
    labels = LabelSet((Label("liver", 1),))
    zeros = segmentation(np.zeros((2**24 + 3,), np.uint8)[None], labels)
    assert counts(zeros, zeros).matrix[0, 0] == 2**24 + 3


def test_inputs_are_not_modified():
    labels = LabelSet((Label("liver", 1),))
    found = np.array([[0, 1]], np.uint8)
    found.setflags(write=False)
    counts(segmentation(found, labels), segmentation(found, labels))


def test_refuses_what_cannot_be_compared():
    labels = LabelSet((Label("liver", 1),))
    two = np.zeros((2, 2), np.uint8)
    truth = segmentation(two, labels)
    with pytest.raises(ValueError, match=r"different grids: shape \(2, 3\) against \(2, 2\)"):
        counts(segmentation(np.zeros((2, 3), np.uint8), labels), truth)
    thin, thick = (segmentation(two, labels, Geometry((2, 2), (s, 1.0), "mm")) for s in (1.0, 2.0))
    with pytest.raises(ValueError, match="spacing"):
        counts(thin, thick)
    with pytest.raises(ValueError, match="same names"):
        counts(segmentation(two, LabelSet((Label("spleen", 1),))), truth)
    with pytest.raises(ValueError, match="prediction holds the value 5, which no label has"):
        counts(segmentation(two + np.uint8(5), labels), truth)
    with pytest.raises(ValueError, match="the truth holds the value 200"):
        counts(truth, segmentation(two + np.uint8(200), labels))
