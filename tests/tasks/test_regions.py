import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Geometry, Label, LabelSet, Output, Probabilities, Segmentation
from delineate.tasks.regions import regions

LIVER = LabelSet(
    (
        Label("liver", 1, includes=("tumour",)),
        Label("tumour", 2, "thing"),
        Label("spleen", 300),
        Label("unsure", 255, "ignore"),
    )
)
BRATS = LabelSet(
    (
        Label("whole tumour", 2, includes=("tumour core",)),
        Label("tumour core", 1, includes=("enhancing tumour",)),
        Label("enhancing tumour", 4),
    )
)


@pytest.mark.parametrize("labels", [LIVER, BRATS])
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_is_encoded_is_decided(labels, data):
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    values = st.sampled_from((0, *labels.values))
    classes = data.draw(hnp.arrays(np.uint16, shape, elements=values))
    task, grid = regions(labels), Geometry.in_pixels(shape)
    target = task.encode(Segmentation(classes, labels, grid))
    assert target.classes is None
    logits = 18.0 * target.regions.astype(np.float32) - 9
    prediction = task.decide(task.read(Output(logits[None]), grid), grid)
    np.testing.assert_array_equal(prediction.classes, classes)
    for name, region in zip(labels.names, target.regions, strict=True):
        np.testing.assert_array_equal(prediction.mask(name), region)


def test_a_region_covers_what_it_includes():
    truth = Segmentation(np.array([[0, 2, 1, 4, 2]], np.uint8), BRATS, Geometry.in_pixels((1, 5)))
    assert regions(BRATS).encode(truth).regions[:, 0].tolist() == [
        [0, 1, 1, 1, 1],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0],
    ]


def test_a_part_that_is_found_alone_brings_what_includes_it():
    """The network says tumour and not liver: the map says tumour, and the liver is as probable as that."""
    maps = np.array([0.2, 0.9, 0.1], np.float32)[:, None, None]
    grid = Geometry.in_pixels((1, 1))
    prediction = regions(LIVER).decide(Probabilities(maps, (0.0,) * 3), grid)
    assert prediction.classes.tolist() == [[2]]
    assert prediction.mask("liver").all()
    np.testing.assert_allclose(prediction.probabilities[:, 0, 0], [0.1, 0.9, 0.9, 0.1], atol=1e-6)


def test_a_later_label_is_written_over_an_earlier_one():
    maps = np.array([0.8, 0.3, 0.7], np.float32)[:, None, None]
    grid = Geometry.in_pixels((1, 1))
    both = Probabilities(maps, (0.0,) * 3)
    for order, value in [
        (["liver", "tumour", "spleen"], 300),
        (["spleen", "liver", "tumour"], 1),
    ]:
        assert regions(LIVER, order=order).decide(both, grid).classes.tolist() == [[value]]
    assert regions(LIVER, threshold=0.75).decide(both, grid).classes.tolist() == [[1]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"order": ["liver", "tumour"]}, "expected each of liver, tumour, spleen once"),
        ({"order": ["tumour", "liver", "spleen"]}, "writes 'liver' over 'tumour'"),
    ],
)
def test_nonsense_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        regions(LIVER, **arguments)
