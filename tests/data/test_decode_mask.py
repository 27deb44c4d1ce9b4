import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from delineate.core import Label, LabelSet
from delineate.data._masks import decode_mask
from delineate.data._values import mask_values

POLYP = LabelSet((Label("polyp", 1),))
LESIONS = LabelSet((Label("neoplastic", 1), Label("benign", 2), Label("skip", 255, "ignore")))


def decoded(raw, labels=POLYP, values=None, tolerance=0.0):
    raw = np.array(raw)
    pixels = np.atleast_3d(raw.astype(np.uint32) if raw.dtype.kind == "i" else raw)
    pixels = np.moveaxis(pixels, -1, 0)
    return decode_mask(pixels, mask_values(labels, values, tolerance)).tolist()


def test_files_hold_the_values_of_the_labels_by_default():
    assert decoded([[0, 1], [2, 255]], LESIONS) == [[0, 1], [2, 255]]


def test_values_may_be_other_numbers_and_several():
    values = {"neoplastic": 10, "benign": [20, 30]}
    assert decoded([[0, 10], [20, 30]], LESIONS, values) == [[0, 1], [2, 2]]


def test_ignored_labels_keep_their_value_unless_named():
    assert decoded([[255, 7]], LESIONS, {"neoplastic": 7, "benign": []}) == [[255, 1]]
    named = {"neoplastic": 7, "benign": [], "skip": 9}
    assert decoded([[9, 7]], LESIONS, named) == [[255, 1]]


def test_background_may_be_another_number():
    values = {"background": 5, "neoplastic": 9, "benign": 2}
    assert decoded([[5, 9], [2, 0]], LESIONS, values) == [[0, 1], [2, 0]]


def test_background_may_be_a_label_and_a_label_zero():
    assert decoded([[0, 255]], POLYP, {"polyp": 0, "background": 255}) == [[1, 0]]


def test_a_threshold_is_exclusive():
    assert decoded([[0, 127], [128, 255]], POLYP, {"polyp": ">127"}) == [[0, 0], [1, 1]]


def test_the_highest_threshold_wins_and_a_number_wins_over_it():
    values = {"neoplastic": ">64", "benign": ">192", "skip": 254}
    assert decoded([[64, 100], [200, 254]], LESIONS, values) == [[0, 1], [2, 255]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_every_depth(dtype):
    assert decoded(np.array([[0, 200]], dtype), POLYP, {"polyp": 200}) == [[0, 1]]


def test_equal_channels_are_grey():
    grey = np.array([[0, 255]], np.uint8)
    assert decoded(np.stack([grey] * 3, -1), POLYP, {"polyp": 255}) == [[0, 1]]


def test_the_input_is_not_changed_and_the_map_is_small():
    pixels = np.array([[[0, 300]]], np.uint16)
    before = pixels.copy()
    classes = decode_mask(pixels, mask_values(POLYP, {"polyp": 300}))
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(pixels, before)
    wide = LabelSet((Label("organ", 300),))
    assert decode_mask(pixels, mask_values(wide)).dtype == np.uint16


RED, GREEN, BLACK = [255, 0, 0], [0, 255, 0], [0, 0, 0]
COLOURS = {"neoplastic": "#ff0000", "benign": "#00FF00"}


def test_colours_are_exact_without_tolerance():
    assert decoded([[RED, GREEN, BLACK]], LESIONS, COLOURS) == [[1, 2, 0]]
    with pytest.raises(
        ValueError, match=r"#fe0000 \(1 times\); expected #ff0000, #00ff00, #000000"
    ):
        decoded([[RED, [254, 0, 0]]], LESIONS, COLOURS)


def test_a_colour_within_the_tolerance_is_the_nearest_black_among_them():
    smeared = [[[250, 8, 3], [120, 0, 0], [135, 0, 0], [90, 140, 0]]]
    assert decoded(smeared, LESIONS, COLOURS, 180) == [[1, 0, 1, 2]]


def test_a_colour_beyond_the_tolerance_is_refused():
    with pytest.raises(ValueError, match="each within 100"):
        decoded([[[0, 0, 255]]], LESIONS, COLOURS, 100)


def test_grey_masks_have_colours_too():
    assert decoded([[0, 255]], POLYP, {"polyp": "#ffffff"}) == [[0, 1]]


def test_background_may_be_another_colour():
    values = {"polyp": "#000000", "background": "#ffffff"}
    assert decoded([[BLACK, [255] * 3]], POLYP, values) == [[1, 0]]


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, (2, 5, 4), elements=st.sampled_from([0, 1, 2, 255])))
def test_any_number_of_axes(volume):
    values = mask_values(LESIONS, {"neoplastic": 1, "benign": 2})
    np.testing.assert_array_equal(decode_mask(volume[None], values), volume)


def test_one_stray_value_tells_what_to_write():
    with pytest.raises(
        ValueError, match=r"255 \(2 times\); expected 0 background, 1 polyp.*polyp: 255"
    ):
        decoded([[0, 255, 255]])


def test_a_jpeg_mask_is_told_to_take_a_threshold():
    raw = np.repeat([0, 1, 2, 3, 5, 128, 250, 252, 253, 254, 255], [60, *[1] * 9, 60])[None]
    with pytest.raises(ValueError, match=r"and 4 more.*JPEG-compressed.*polyp: '>127'"):
        decoded(raw)


def test_strays_among_several_labels():
    with pytest.raises(
        ValueError, match=r"3 \(2 times\), 4 \(1 times\); expected 0 background, 1 neo"
    ):
        decoded([[0, 3, 3, 4]], LESIONS)


def test_a_mask_in_colour_is_told_to_name_them():
    with pytest.raises(ValueError, match=r"its labels are colours.*polyp: '#rrggbb'"):
        decoded([[RED, GREEN]])


def test_an_image_is_no_mask():
    with pytest.raises(ValueError, match="an image and not a mask"):
        decoded([[0, 1 << 24]])


@pytest.mark.parametrize(
    ("values", "tolerance", "message"),
    [
        (
            {"polip": 1},
            0,
            "'polip', which is not a label. There are: background, polyp; did you mean 'polyp'",
        ),
        ({}, 0, "does not name polyp"),
        ({"polyp": -1}, 0, "polyp is -1; expected a number from 0"),
        ({"polyp": "127"}, 0, "expected a number from 0, a threshold like '>127' or a colour"),
        ({"polyp": 1, "background": 1}, 0, "1 to two labels; 'background' is the second"),
        ({"polyp": ["#ff0000", 1]}, 0, "mixes colours with numbers"),
        ({"polyp": 1}, 20, "tolerance is 20; expected 0 or more, and colours"),
        ({"polyp": "#ff0000"}, -1, "tolerance is -1"),
    ],
)
def test_values_that_make_no_sense(values, tolerance, message):
    with pytest.raises(ValueError, match=message):
        mask_values(POLYP, values, tolerance)
