"""Regions that are told apart by what classify measures."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Image, Label, LabelSet, Segmentation
from delineate.refine import NothingToLearnError, learner_of
from delineate.refine._regions import colour_axes, colour_spread, regions
from delineate.refine.classify import (
    _covariance,
    _described,
    _mean_and_spread,
    classify,
)
from delineate.resolve import Call, RecipeError, check

LABELS = LabelSet((Label("dark", 1, "thing"), Label("light", 2, "thing"), Label("?", 3, "ignore")))
learn = learner_of(classify)


def scene(seed, shape=(96, 120)):
    """A prediction of three discs with the wrong labels, the truth, and an image in which their kinds differ.

    A dark one, a light one, and one that is nothing: it looks like what is around it.
    """
    rng = np.random.default_rng(seed)
    pixels = 120 + 10 * rng.normal(size=(3, *shape))
    truth, classes = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    rows, columns = np.indices(shape)
    for kind, (row, column) in zip(rng.permutation(3), ((24, 24), (70, 60), (30, 95)), strict=True):
        at = np.add(rng.integers(-4, 5, 2), (row, column))
        disc = (rows - at[0]) ** 2 + (columns - at[1]) ** 2 < rng.uniform(8, 16) ** 2
        pixels[:, disc] += (0, -50, 50)[kind]
        truth[disc] = kind
        classes[disc] = rng.integers(1, 3)
    maps = np.stack([classes == value for value in range(3)]).astype(np.float32)
    geometry = Geometry.in_pixels(shape)
    found = Segmentation(classes, LABELS, geometry, probabilities=0.8 * maps + 0.2 / 3)
    image = Image(pixels.clip(0, 255).astype(np.uint8), geometry)
    return found, Segmentation(truth, LABELS, geometry), image


def test_it_learns_what_tells_the_regions_of_unseen_images_apart():
    step = classify(**learn(scene(seed) for seed in range(30)))
    wrong = 0
    for seed in range(100, 140):
        found, truth, image = scene(seed)
        after = step(found, image).classes
        wrong += sum(
            (after != truth.classes)[r.box][r.mask].any() for r in regions(found.classes > 0)
        )
    assert wrong <= 6  # of 120; before, about 80 are


def test_the_same_seen_once_more_gives_the_same_weights():
    assert learn([scene(0), scene(1)]) == learn([scene(0), scene(1)])


def test_it_learns_nothing_from_what_is_to_be_ignored():
    found, truth, image = scene(0)
    ignored = Segmentation(
        np.where(truth.classes == 1, 3, truth.classes).astype(np.uint8), LABELS, truth.geometry
    )
    kinds = learn([(found, ignored, image), scene(1), scene(2)])
    assert set(kinds) == {"labels", "background"}
    light = Segmentation(np.full_like(truth.classes, 3), LABELS, truth.geometry)
    with pytest.raises(NothingToLearnError, match="no region was predicted"):
        learn([(found, light, image)])


def test_a_region_that_is_in_part_an_object_counts_as_one():
    found, truth, image = scene(0)
    thin = truth.classes.copy()
    thin[:, ::2] = 0
    half = Segmentation(thin, LABELS, truth.geometry)
    assert learn([(found, half, image)]) == learn([(found, truth, image)])


def test_with_one_kind_of_region_all_keep_it():
    found, truth, image = scene(0)
    dark = Segmentation(np.minimum(truth.classes, 1), LABELS, truth.geometry)
    only = Segmentation(
        np.where(dark.classes, found.classes, 0), LABELS, truth.geometry, probabilities=None
    )
    one = found.changed(only.classes)
    arguments = learn([(one, dark, image)])
    assert arguments == {"labels": {"dark": {"bias": 0.0}}}
    assert set(np.unique(classify(**arguments)(one, image).classes)) == {0, 1}


def test_its_arguments_can_stand_in_a_recipe():
    arguments = learn(scene(seed) for seed in range(5))
    call = Call("classify", arguments, labels=("dark", "light"))
    assert check("refine", call) == arguments
    with pytest.raises(RecipeError, match="labels is"):
        check("refine", replace(call, labels=("dark", "bright")))
    with pytest.raises(RecipeError, match="labels is"):
        check("refine", replace(call, args={"labels": {"dark": {"size": math.nan}}}))


@pytest.mark.parametrize(("channels", "axes"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5)])
def test_the_spread_of_the_image_is_that_of_its_colour_axes(channels, axes):
    pixels = np.random.default_rng(0).integers(0, 4000, (channels, 30, 40)).astype(np.uint16)
    image = Image(pixels, Geometry.in_pixels((30, 40)))
    direct = colour_axes(image, (slice(None), slice(None))).reshape(axes, -1).astype(np.float64)
    middle, spread = colour_spread(image)
    np.testing.assert_allclose(middle, direct.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(spread, direct.std(axis=1), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), gain=st.sampled_from([1e-6, 1 / 255, 16.0, 257.0]))
def test_features_do_not_depend_on_the_depth_of_the_image(seed, gain):
    found, _, image = scene(seed)
    deep = Image((image.pixels * gain).astype(np.float64), image.geometry)
    for (_, one), (_, other) in zip(_described(found, image), _described(found, deep), strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-4, atol=1e-3)


def test_a_grey_image_is_one_whose_channels_are_equal():
    found, _, image = scene(3)
    grey = Image(image.pixels[:1], image.geometry)
    equal = Image(image.pixels[[0, 0, 0]], image.geometry)
    for (_, one), (_, other) in zip(_described(found, grey), _described(found, equal), strict=True):
        assert one == other
        assert all(math.isfinite(value) for value in one.values())


def test_a_label_named_background_is_not_the_background():
    labels = LabelSet((Label("background", 1, "thing"), Label("light", 2, "thing")))
    cases = [scene(seed) for seed in range(10)]
    named = [
        (
            Segmentation(f.classes, labels, f.geometry, probabilities=f.probabilities),
            Segmentation(t.classes, labels, t.geometry),
            image,
        )
        for f, t, image in cases
    ]
    arguments = learn(named)
    assert set(arguments) == {"labels", "background"}
    assert set(arguments["labels"]) == {"background", "light"}
    plain = learn(cases)
    assert arguments["background"]["size"] == plain["background"]["size"]


def test_moments_and_colours_equal_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    for spacing in ((1.0, 1.0), (0.5, 2.0)):
        mask = rng.random((9, 13)) < 0.4
        points = np.argwhere(mask) * spacing
        expected = np.cov(points.T, bias=True) + np.diag(np.square(spacing) / 12)
        np.testing.assert_allclose(_covariance(mask, spacing), expected, rtol=1e-6)
    axes = rng.normal(size=(3, 9, 13)).astype(np.float32)
    for axis, found in zip(axes, _mean_and_spread(axes, mask), strict=True):
        np.testing.assert_allclose(found, (axis[mask].mean(), axis[mask].std()), rtol=1e-5)


def test_the_shape_of_a_disc_a_rectangle_and_a_ball():
    shape = (60, 80)
    rows, columns = np.indices(shape)
    disc = (rows - 30) ** 2 + (columns - 30) ** 2 < 20**2
    rectangle = (rows < 10) & (columns >= 60)
    classes = (disc | rectangle).astype(np.uint8)
    maps = np.stack([classes == value for value in range(3)]).astype(np.float32)
    found = Segmentation(classes, LABELS, Geometry.in_pixels(shape), probabilities=maps)
    image = Image(np.zeros((1, *shape), np.uint8), found.geometry)
    features = {region.size: of for region, of in _described(found, image)}
    of_disc, of_rectangle = features[int(disc.sum())], features[200]
    assert of_disc["elongation"] == pytest.approx(0, abs=1e-6)
    assert of_disc["fullness"] == pytest.approx(0, abs=0.01)
    assert of_rectangle["elongation"] == pytest.approx(math.log(2), abs=0.01)
    assert of_rectangle["fullness"] == pytest.approx(math.log(3 / math.pi), abs=0.01)
    assert (of_disc["at_edge"], of_rectangle["at_edge"]) == (0, 1)
    assert of_disc["size"] == pytest.approx(math.log(disc.sum() / (60 * 80)))
    assert of_rectangle["part"] == pytest.approx(math.log(200 / (200 + disc.sum())))
    ball = sum((axis - 10) ** 2 for axis in np.indices((21, 21, 21))) < 9**2
    maps = np.stack([~ball, ball, 0 * ball]).astype(np.float32)
    scan = Segmentation(
        ball.astype(np.uint8), LABELS, Geometry((21,) * 3, (2.0,) * 3, "mm"), probabilities=maps
    )
    pixels = Image(np.zeros((1, 21, 21, 21), np.uint8), scan.geometry)
    ((_, of_ball),) = _described(scan, pixels)
    assert of_ball["fullness"] == pytest.approx(0, abs=0.01)
    assert of_ball["size"] == pytest.approx(math.log(8 * ball.sum()))


def test_bad_weights_and_another_grid_get_one_clear_error():
    found, _, image = scene(0)
    with pytest.raises(ValueError, match="has a weight of 'hue', which is no feature"):
        classify({"dark": {"hue": 1.0}})(found, image)
    two = Image(image.pixels[:2], image.geometry)
    with pytest.raises(ValueError, match="'tone_2', which is no feature"):
        classify({"dark": {"tone_2": 1.0}})(found, two)
    with pytest.raises(NothingToLearnError, match="different numbers of channels"):
        learn([scene(1), (found, found, two)])
    for value in (np.nan, np.inf, 3e200):
        pixels = image.pixels.astype(np.float64)
        pixels[0, 0, 0] = value
        with pytest.raises(ValueError, match="NaN, infinity or values too large"):
            classify({"dark": {}})(found, Image(pixels, image.geometry))
    small = Image(image.pixels[:, :9, :9], Geometry.in_pixels((9, 9)))
    with pytest.raises(ValueError, match="expected the same grid"):
        classify({"dark": {}})(found, small)
