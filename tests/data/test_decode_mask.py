import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from delineate.components import components
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
        ({"polyp": 1}, 20, "tolerance is 20; expected 0 or more or jpeg, and colours"),
        ({"polyp": "#ff0000"}, -1, "tolerance is -1"),
    ],
)
def test_values_that_make_no_sense(values, tolerance, message):
    with pytest.raises(ValueError, match=message):
        mask_values(POLYP, values, tolerance)


def as_jpeg(classes, quality=85, subsampling="420", colours=(BLACK, RED, GREEN)):
    """A label map as a picture of colours that JPEG has compressed, (row, column, channel)."""
    picture = np.array(colours, np.uint8)[classes]
    data = simplejpeg.encode_jpeg(
        picture, quality=quality, colorspace="RGB", colorsubsampling=subsampling
    )
    return simplejpeg.decode_jpeg(data, "RGB")


def discs(seed, shape=(120, 160)):
    """A few discs of the values 1 and 2; they may touch and overlap."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    classes = np.zeros(shape, np.uint8)
    for _ in range(4):
        row, column, radius = (
            rng.integers(0, shape[0]),
            rng.integers(0, shape[1]),
            rng.integers(8, 40),
        )
        classes[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = rng.integers(1, 3)
    return classes


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("quality", "subsampling"), [(95, "444"), (75, "420"), (50, "420")])
def test_colours_that_jpeg_blurred_are_found_again(seed, quality, subsampling):
    classes = discs(seed)
    found = np.array(decoded(as_jpeg(classes, quality, subsampling), LESIONS, COLOURS, "jpeg"))
    assert set(np.unique(found)) <= {0, 1, 2}
    wrong = found != classes
    edges = cv2.dilate(classes, np.ones((5, 5))) != cv2.erode(classes, np.ones((5, 5)))
    assert not wrong[~edges].any()
    assert wrong[edges].mean() < 0.08 + 0.1 * (quality == 50)


def test_the_nearest_of_red_green_and_black_is_the_stronger_of_red_and_green_from_128():
    red, green = np.indices((256, 256))
    different = red != green
    picture = np.stack((red, green, np.full_like(red, 37)), axis=-1).astype(np.uint8)
    found = np.array(decoded(picture, LESIONS, COLOURS, 442))
    expected = np.where((red >= 128) & (red > green), 1, 0)
    expected[(green >= 128) & (green > red)] = 2
    assert (found == expected)[different].all()


def test_specks_take_the_value_beside_them():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[2:18, 2:38] = RED
    picture[6:10, 6:10] = GREEN  # 16 pixels inside red
    picture[25:29, 10:14] = RED  # 16 pixels alone
    picture[25:30, 30:35] = GREEN  # 21 after the vote of its corners
    picture[32:39, 20:27] = GREEN
    found = np.array(decoded(picture, LESIONS, COLOURS, "jpeg"))
    assert np.unique(found[:20]).tolist() == [0, 1]
    assert (found[6:10, 6:10] == 1).all()
    assert not found[22:31].any()
    assert (found == 2).sum() == 45  # 7 x 7 without its corners


def test_a_region_is_a_speck_below_25_pixels():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:2, :13] = RED  # 25 after the vote of its one corner inside the picture
    picture[-5:, -5:] = RED  # 24
    found = np.array(decoded(picture, LESIONS, COLOURS, "jpeg"))
    assert (found == 1).sum() == (found[:2, :13] == 1).sum() == 25


def test_a_pixel_keeps_its_value_where_two_are_as_frequent():
    rows, columns = np.indices((41, 41)) - 20
    classes = np.where(columns < (rows < 0), 1, 2)
    classes[abs(columns) < rows] = 0  # a wedge of black below the middle
    around = [[1, 1, 2], [1, 2, 2], [1, 0, 2]]
    assert classes[19:22, 19:22].tolist() == around
    picture = np.array((BLACK, RED, GREEN), np.uint8)[classes]
    assert decoded(picture, LESIONS, COLOURS, "jpeg")[20][20] == 2


@pytest.mark.parametrize("angle", [0.0, 1.4, 1.75, 2.45])
@pytest.mark.parametrize("undefined", [False, True])
def test_no_seam_is_left_where_red_and_green_touch(angle, undefined):
    rows, columns = np.indices((160, 200)) - np.array([80, 100])[:, None, None]
    inside = rows**2 + columns**2 < 60**2
    classes = inside * (1 + (np.cos(angle) * rows + np.sin(angle) * columns > 3)).astype(np.uint8)
    labels, values = LESIONS, COLOURS
    if undefined:
        labels = LabelSet((*LESIONS.labels[:2], Label("undefined", 255, "ignore")))
        values = COLOURS | {"undefined": "#ffff00"}
    found = np.array(decoded(as_jpeg(classes, 75, "420"), labels, values, "jpeg"))
    border = cv2.erode(inside.astype(np.uint8), np.ones((9, 9))) > 0
    assert set(np.unique(found[border])) == {1, 2}
    assert (found != classes)[border].mean() < 0.02


def test_a_line_inside_one_colour_and_a_gap_to_the_outside_are_no_seams():
    picture = np.zeros((60, 60, 3), np.uint8)
    picture[5:25, 5:55] = RED
    picture[12:14, 10:50] = BLACK
    picture[30:50, 5:29] = RED
    picture[30:50, 31:55] = GREEN
    found = np.array(decoded(picture, LESIONS, COLOURS, "jpeg"))
    assert not found[12:14, 12:48].any()
    assert not found[32:48, 29:31].any()


def test_nothing_but_specks_is_an_empty_mask():
    picture = np.zeros((30, 30, 3), np.uint8)
    assert not np.any(decoded(picture, LESIONS, COLOURS, "jpeg"))
    picture[4:8, 4:8] = RED
    assert not np.any(decoded(picture, LESIONS, COLOURS, "jpeg"))


@pytest.mark.parametrize(
    ("colour", "told"), [([255, 255, 0], "#f"), ([255, 255, 255], "#ffffff"), ([0, 0, 255], "#")]
)
def test_a_region_of_another_colour_is_refused_also_after_jpeg(colour, told):
    classes = discs(3)
    classes[50:70, 50:70] = 3
    picture = as_jpeg(classes, colours=(BLACK, RED, GREEN, colour))
    with pytest.raises(ValueError, match=f"colours without a label: .*{told}.*within 100"):
        decoded(picture, LESIONS, COLOURS, "jpeg")


def test_jpeg_is_for_pictures():
    pixels = np.zeros((3, 4, 5, 6), np.uint8)
    with pytest.raises(ValueError, match="has 3 axes; tolerance: jpeg is for pictures of 2"):
        decode_mask(pixels, mask_values(LESIONS, COLOURS, "jpeg"))
    with pytest.raises(ValueError, match="tolerance is jpeg; expected"):
        mask_values(POLYP, {"polyp": ">127"}, "jpeg")


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 2))
)
def test_jpeg_decodes_any_mask_to_its_labels_without_specks(classes):
    picture = np.array((BLACK, RED, GREEN), np.uint8)[classes]
    found = np.array(decoded(picture, LESIONS, COLOURS, "jpeg"))
    assert found.shape == classes.shape
    assert set(np.unique(found)) <= {0, 1, 2}
    if (found == 0).any():
        for value in (1, 2):
            assert (components(found == value)[1][1:] >= 25).all()
