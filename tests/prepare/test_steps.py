import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Image
from delineate.prepare import WINDOWS, Prepare, load_prepare, read_window
from delineate.prepare.channels import channels
from delineate.prepare.crop import crop
from delineate.prepare.orient import orient
from delineate.prepare.pad import pad
from delineate.prepare.resample import resample
from delineate.prepare.rescale_intensity import rescale_intensity
from delineate.prepare.resize import resize
from delineate.prepare.standardize import standardize
from delineate.prepare.window import window
from delineate.resolve import Call, RecipeError

# Axes S, P, R with 2.5, 0.8 and 0.7 mm, slightly oblique.
AFFINE = np.array(
    [[0.02, 0.01, -0.7, 30], [0.03, 0.8, 0.01, -40], [2.5, 0.02, 0.02, 5], [0, 0, 0, 1]]
)
SCAN = Geometry.in_patient((12, 41, 33), AFFINE)
MOVES = [
    resize((16, 40, 20)),
    resize((20, 30, 30), keep_aspect=True),
    pad(16),
    pad(shape=(12, 50, 30)),
    crop((10, 50, 31)),
    resample((2.0, 1.1, 0.5)),
    resize((None, 50, 20)),
    resize((20, None, 44), keep_aspect=True),
    resample((None, 1.1, 0.5)),
    orient("LAI"),
    orient("SPL"),
]


def seen(step, image):
    return Prepare((step,)).fixed(image)


@pytest.mark.parametrize("step", MOVES)
def test_a_point_of_the_patient_keeps_its_value(step):
    """An image of each sample's own place says, after any move, where its samples now lie."""
    index = np.indices(SCAN.shape).reshape(3, -1)
    place = (SCAN.to_patient @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    fixed = seen(step, Image(place.reshape(3, *SCAN.shape).astype(np.float32), SCAN))
    inner = tuple(
        slice(n // 3, 2 * n // 3) for n in fixed.geometry.shape
    )  # clear of borders and padding
    index = np.stack(np.mgrid[inner]).reshape(3, -1)
    expected = (fixed.geometry.to_patient @ np.vstack([index, np.ones(index.shape[1])]))[:3]
    found = fixed.pixels[(slice(None), *inner)].reshape(3, -1)
    np.testing.assert_allclose(found, expected, atol=0.05)  # mm; half a sample is 0.35 or more


def test_orient_runs_axes_the_way_they_are_named():
    grid = orient("LPI").grid(SCAN)
    directions = grid.to_patient[:3, :3] / np.array(grid.spacing)
    np.testing.assert_allclose(directions, np.diag([1, 1, -1]), atol=0.06)
    assert grid.shape == (33, 41, 12)


def test_orient_of_a_slice():
    back_and_right = np.array([[0, -0.7, 0], [-0.8, 0, 0], [0, 0, 5], [0, 0, 1]])
    axial = Geometry.in_patient((4, 5), back_and_right)
    image = Image(np.arange(20).reshape(1, 4, 5), axial)
    np.testing.assert_array_equal(seen(orient("PL"), image).pixels[0], image.pixels[0, ::-1, ::-1])
    with pytest.raises(ValueError, match="run along P-A, L-R"):
        orient("SL").grid(axial)


@pytest.mark.parametrize("axes", ["LRS", "LLS", "XYZ"])
def test_orient_refuses_what_names_no_axes(axes):
    with pytest.raises(ValueError, match="expected one letter"):
        orient(axes)


def test_steps_refuse_what_the_image_does_not_have():
    photo = Geometry.in_pixels((20, 30))
    with pytest.raises(ValueError, match="Leave orient out"):
        orient().grid(photo)
    with pytest.raises(ValueError, match="Use resize instead"):
        resample(1.0).grid(photo)
    with pytest.raises(ValueError, match="for 3 axes, but the image has 2"):
        resize((1, 2, 3)).grid(photo)
    with pytest.raises(ValueError, match="give either multiple or shape"):
        pad()


def test_respace_reaches_the_spacing():
    grid = resample(1.25).grid(Geometry((20, 40, 40), (2.5, 0.625, 1.25), "mm"))
    assert grid.shape == (40, 20, 40)
    assert grid.spacing == (1.25, 1.25, 1.25)


def test_null_keeps_an_axis():
    assert resize((None, 64, 20)).grid(SCAN).shape == (12, 64, 20)
    assert resize((None, 82, 82), keep_aspect=True).grid(SCAN).shape == (12, 82, 82)
    assert resample((None, 1.6, 0.7)).grid(SCAN).shape == (12, 21, 33)
    assert resample((None, 1.6, 0.7)).grid(SCAN).spacing[0] == SCAN.spacing[0]
    slices = np.random.default_rng(0).random((1, *SCAN.shape), np.float32)
    found = seen(resize((None, 20, 16)), Image(slices, SCAN)).pixels[0]
    alone = [Image(slices[:, i], Geometry.in_pixels(SCAN.shape[1:])) for i in range(12)]
    expected = [seen(resize((20, 16)), image).pixels[0] for image in alone]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for step, said in (("resize", "shape"), ("resample", "spacing")):
        with pytest.raises(RecipeError, match=f"{step}: {said} keeps every axis"):
            load_prepare([Call(step, {said: [None, None]})])


def test_pad_and_crop_by_hand():
    image = Image(np.arange(1, 7, dtype=np.uint8).reshape(1, 2, 3), Geometry.in_pixels((2, 3)))
    assert seen(pad(4), image).pixels.tolist() == [[[1, 2, 3, 0], [4, 5, 6, 0], [0] * 4, [0] * 4]]
    assert seen(crop((4, 1), value=9), image).pixels.tolist() == [[[9], [2], [5], [9]]]


def test_keep_aspect_pads_the_rest():
    image = Image(np.full((1, 20, 40), 200, np.uint8), Geometry.in_pixels((20, 40)))
    found = seen(resize((40, 40), keep_aspect=True, value=7), image)
    assert (found.pixels[0, :10] == 7).all()
    assert (found.pixels[0, 10:30] == 200).all()
    assert (found.pixels[0, 30:] == 7).all()


def test_window_is_linear_exact():
    hu = np.array([-160.0, -161, 40, 140, 240, 241]).reshape(1, 1, 6).astype(np.int16)
    found = window(level=40, width=400).apply(hu)
    np.testing.assert_allclose(found[0, 0], [0, 0, 0.5, 0.75, 1, 1], atol=1e-7)
    assert found.dtype == np.float32
    three = window(level=(40, -600, 400), width=(400, 1500, 1800)).apply(hu)
    assert three.shape == (3, 1, 6)
    np.testing.assert_allclose(three[1, 0, 2], (40 + 600) / 1500 + 0.5)
    with pytest.raises(ValueError, match="one channel"):
        window(level=(40, 50), width=400).apply(np.zeros((2, 3, 3)))


@given(
    shape=st.sampled_from([(1, 7, 9), (1, 300, 211), (1, 5, 90, 80), (1, 1, 70_000)]),
    turned=st.booleans(),
    dtype=st.sampled_from([np.int16, np.uint16, np.float32, np.float64]),
)
@settings(max_examples=20, deadline=None)
def test_window_is_the_formula_in_any_size_memory_order_and_dtype(shape, turned, dtype):
    hu = np.random.default_rng(0).integers(0, 2000, shape).astype(dtype)
    hu = hu.swapaxes(1, -1)[:, ::-1] if turned else hu
    found = window(["lung", "Abdomen", "60/300"]).apply(hu)
    for channel, (level, width) in zip(found, [(-600, 1500), (50, 400), (60, 300)], strict=True):
        expected = np.clip((hu[0] - np.float64(level)) / width + 0.5, 0, 1)
        np.testing.assert_allclose(channel, expected, atol=1e-6)
    two = np.concatenate([hu, hu + dtype(9)])
    np.testing.assert_allclose(window("abdomen").apply(two)[0], found[1])


def test_window_takes_the_names_of_the_table_and_level_width():
    for name, (level, width) in WINDOWS.items():
        assert window(name) == window(level=level, width=width)
    assert read_window("soft tissue") == read_window("Soft-Tissue") == read_window("50/400")
    assert window("-600/1500") == window("LUNG")
    two = ["lung", "abdomen"]
    assert load_prepare([Call("window", {"": two})]).before == (window(two),)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"": "abdomn"}, "there is no window 'abdomn'; did you mean 'abdomen'.*level/width"),
        ({"": ["lung", "livr"]}, "did you mean 'liver'"),
        ({"": "50/0"}, "width above 0"),
        ({"": "50/nan"}, "expected level/width"),
        ({"": "/"}, "expected level/width"),
        ({"": "50/400/2"}, "expected level/width"),
        ({"": []}, "expected a text"),
        ({}, "give a name"),
        ({"name": "lung", "level": 3}, "give a name"),
        ({"name": "lung", "level": 3, "width": 5}, "give a name"),
        ({"width": 3}, "give a name"),
        ({"level": 40}, "give a name"),
    ],
)
def test_a_window_that_is_none_is_refused_where_it_is_written(given, said):
    with pytest.raises(RecipeError, match=rf"r\.yaml:4: .*{said}"):
        load_prepare([Call("window", given, "r.yaml:4")])


def test_rescale_intensity_by_percentiles_and_values():
    ramp = np.arange(101, dtype=np.int16).reshape(1, 1, 101)
    found = rescale_intensity(10, 90).apply(ramp)[0, 0]
    assert found[[0, 10, 50, 90, 100]].tolist() == [0, 0, 0.5, 1, 1]
    assert rescale_intensity(0, 200, by="values").apply(ramp)[0, 0, 100] == 0.5
    assert (rescale_intensity().apply(np.full((1, 3, 3), 5)) == 0).all()
    both = np.concatenate([ramp, ramp * 50])
    np.testing.assert_allclose(*rescale_intensity(0, 100, per="channel").apply(both), atol=1e-6)


def test_standardize_imagenet_on_bytes_and_floats():
    pixels = np.moveaxis(np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8), -1, 0)
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    expected = (pixels / 255 - mean) / std
    for same in (pixels, np.ascontiguousarray(pixels), (pixels / 255).astype(np.float32)):
        found = standardize("imagenet").apply(same)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert found.dtype == np.float32
        assert found.flags.c_contiguous
    grey = standardize("imagenet").apply(pixels[:1])
    np.testing.assert_allclose(grey, (pixels[:1] / 255 - 0.449) / 0.226, atol=1e-5)
    with pytest.raises(ValueError, match="4 channels"):
        standardize().apply(np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="window or rescale_intensity"):
        standardize().apply(np.zeros((1, 2, 2), np.int16))


def test_standardize_by_the_image():
    rng = np.random.default_rng(0)
    pixels = rng.normal([[[[5]]], [[[50]]]], 3, (2, 4, 5, 6)).astype(np.float32)
    found = standardize("image").apply(pixels)
    np.testing.assert_allclose(found.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((1, 2, 3)), 1, atol=1e-5)
    np.testing.assert_allclose(standardize("image", per="image").apply(pixels).std(), 1, atol=1e-5)
    pixels[:, :2] = 0
    found = standardize("image", nonzero=True).apply(pixels)
    assert (found[:, :2] == 0).all()
    np.testing.assert_allclose(found[:, 2:].std((1, 2, 3)), 1, atol=1e-5)
    assert (standardize("image").apply(np.full((1, 3, 3), 9, np.uint8)) == 0).all()
    assert (standardize("image", nonzero=True).apply(np.zeros((1, 3, 3))) == 0).all()


def test_standardize_by_values():
    found = standardize("values", mean=(10.0, 20.0), std=(2.0,)).apply(np.full((2, 1, 1), 30))
    assert found.ravel().tolist() == [10, 5]
    with pytest.raises(ValueError, match="by: values needs mean and std"):
        standardize("values")


def test_channels():
    colour = np.array([255, 0, 0, 7], np.uint8).reshape(4, 1, 1)
    assert channels(3).apply(colour).ravel().tolist() == [255, 0, 0]
    assert channels(1).apply(colour).ravel().tolist() == [76]
    assert channels(3).apply(colour[:1]).ravel().tolist() == [255] * 3
    volume = np.ones((3, 4, 5, 6), np.int16)
    assert channels(1).apply(volume).shape == (1, 4, 5, 6)
    with pytest.raises(ValueError, match="5 channels"):
        channels(1).apply(np.zeros((5, 2, 2)))


def test_a_grid_step_after_standardize_is_refused_where_it_is_written():
    calls = [Call("standardize", {}, "r.yaml:4"), Call("pad", {"multiple": 32}, "r.yaml:5")]
    with pytest.raises(RecipeError, match=r"r\.yaml:5: pad comes after standardize"):
        load_prepare(calls)
    with pytest.raises(RecipeError, match=r"r\.yaml:4: resize: shape is"):
        load_prepare([Call("resize", {"shape": [0, 3]}, "r.yaml:4")])
