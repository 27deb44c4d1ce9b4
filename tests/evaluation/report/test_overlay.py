import numpy as np
import pytest

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.evaluation.report import overlay
from delineate.evaluation.report._view import view

LABELS = LabelSet((Label("polyp", 1, colour="#00ff00"), Label("unsure", 9, "ignore")))


def segmentation(classes, geometry=None):
    return Segmentation(classes, LABELS, geometry or Geometry.in_pixels(classes.shape))


def photo(shape=(60, 80), value=128):
    pixels = np.full((3, *shape), value, np.uint8)
    return Image(pixels, Geometry.in_pixels(shape))


def square(shape=(60, 80), value=1):
    classes = np.zeros(shape, np.uint8)
    classes[20:40, 30:50] = value
    return classes


def test_fill_outline_and_the_rest_of_the_picture():
    image, found = photo(), segmentation(square())
    drawn = overlay(image, found)
    assert (drawn.shape, drawn.dtype) == ((60, 80, 3), np.uint8)
    assert (drawn[:15] == 128).all()
    red, green, blue = drawn[30, 40].astype(int)
    assert green > 128 > red == blue
    assert drawn[20, 40, 1] > drawn[30, 40, 1]  # the outline is stronger than the fill
    assert (image.pixels == 128).all()


def test_the_truth_is_dashed_white():
    truth = segmentation(square())
    drawn = overlay(photo(), segmentation(np.zeros((60, 80), np.uint8)), truth)
    edge = drawn[20, 31:49].min(axis=-1)
    assert (edge > 220).any()  # less than white: the line is smoothed
    assert (edge == 128).any()
    assert (drawn[30, 40] == 128).all()


def test_what_is_to_be_ignored_is_not_drawn():
    drawn = overlay(photo(), segmentation(square(value=9)), segmentation(square(value=9)))
    assert (drawn == 128).all()


def test_lines_grow_with_the_picture():
    def strong(scale):
        classes = square().repeat(scale, 0).repeat(scale, 1)
        drawn = overlay(photo(classes.shape), segmentation(classes))
        column = drawn[: 30 * scale, 40 * scale]
        return int(((column[:, 1] > 220) & (column[:, 0] < 40)).sum())

    assert strong(20) > strong(1) >= 1


def test_other_depths_are_windowed_to_percentiles():
    pixels = np.linspace(-1000, 1000, 10_000, dtype=np.float32).reshape(1, 100, 100)
    pixels[0, 0, 0], pixels[0, 0, 1] = 1e9, np.nan
    picture, _ = view(Image(pixels, Geometry.in_pixels((100, 100))), [])
    assert picture.shape == (100, 100, 3)
    assert (picture[..., 0] == picture[..., 2]).all()
    assert picture[5, 5, 0] < 20 < 235 < picture[95, 95, 0]
    assert picture[0, 0, 0] == 255
    assert picture[50, 0, 0] == pytest.approx(127, abs=3)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int16, np.float64])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_depth_and_number_of_channels_gives_a_picture(dtype, channels):
    image = Image(np.ones((channels, 60, 80), dtype), Geometry.in_pixels((60, 80)))
    assert overlay(image, segmentation(square())).shape == (60, 80, 3)


def test_a_volume_is_shown_where_most_was_found_or_true():
    geometry = Geometry((6, 60, 80), (5.0, 1.0, 1.0), "mm")
    pixels = np.zeros((1, 6, 60, 80), np.uint8)
    pixels[:, 4] = 200
    classes = np.zeros((6, 60, 80), np.uint8)
    classes[4], classes[1, 0, 0] = square(), 1
    empty = segmentation(np.zeros_like(classes), geometry)
    picture, _ = view(Image(pixels, geometry), [empty, segmentation(classes, geometry)])
    assert picture.shape == (60, 80, 3)
    assert picture[0, 0, 0] == 200
    middle, _ = view(Image(pixels, geometry), [empty])
    assert middle[0, 0, 0] == 0


@pytest.mark.parametrize(
    ("across", "upper", "right"),
    [("S", "front", "left"), ("P", "head", "left"), ("L", "head", "back")],
)
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, True)])
def test_scans_are_shown_upright_whatever_their_order(across, upper, right, axes, flips):
    ends = {"front": (1, 0), "left": (0, -1), "head": (2, -1), "back": (1, -1)}
    # Thick slices across the named axis of a scan whose axes run to L, P and S.
    spacing = [3.0 if name == across else 1.0 for name in "LPS"]
    geometry = Geometry.in_patient((10, 12, 14), np.diag([*spacing, 1.0]))
    pixels = np.zeros((10, 12, 14), np.uint8)
    for end, value in ((ends[upper], 100), (ends[right], 50)):
        axis, side = end
        pixels[(slice(None),) * axis + (side,)] += np.uint8(value)
    geometry = geometry.reordered(axes, flips)
    pixels = np.flip(pixels.transpose(axes), [i for i, flip in enumerate(flips) if flip])
    picture, _ = view(Image(pixels[None], geometry), [])
    assert (picture[0, 1:-1, 0] == 100).all()
    assert (picture[1:-1, -1, 0] == 50).all()
    assert (picture[1:-1, 1:-1, 0] == 0).all()


def test_samples_are_shown_square():
    geometry = Geometry((20, 30), (2.0, 0.5), "mm")
    image = Image(np.zeros((1, 20, 30), np.uint8), geometry)
    assert overlay(image, segmentation(np.zeros((20, 30), np.uint8), geometry)).shape == (80, 30, 3)


def test_refuses_another_grid():
    with pytest.raises(ValueError, match=r"the image is \(60, 80\), the segmentation \(2, 2\)"):
        overlay(photo(), segmentation(np.zeros((2, 2), np.uint8)))


def test_a_label_is_outlined_around_what_it_includes():
    labels = LabelSet(
        (
            Label("tumour", 2, colour="#ff0000"),
            Label("liver", 1, colour="#00ff00", includes=("tumour",)),
        )
    )
    classes = square()
    classes[20:40, 40:50] = 2  # at the rim of the liver
    grid = Geometry.in_pixels(classes.shape)
    nothing = Segmentation(np.zeros_like(classes), labels, grid)
    drawn = overlay(photo(), Segmentation(classes, labels, grid)).astype(int)
    red, green, _ = drawn[30, 45]
    assert red > 128 > green  # tinted in the colour of the innermost
    assert drawn[30, 39, 1] < 200  # the liver has no outline where the tumour begins ...
    assert drawn[20, 35, 1] > 220  # ... and the tumour's lies over it at the rim
    assert drawn[20, 45, 0] > 200
    dashed = overlay(photo(), nothing, Segmentation(classes, labels, grid)).astype(int)
    assert (dashed[22:38, 30].min(axis=-1) > 220).any()
    assert (dashed[22:38, 40].min(axis=-1) > 220).any()
