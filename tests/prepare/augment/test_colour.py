"""Augmentations of values, against the same done plainly in float64."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from delineate.core import Label, LabelSet
from delineate.prepare import Layers
from delineate.prepare.augment import case_rng, load_augment
from delineate.resolve import Call

RNG = np.random.default_rng(0)
PHOTO = np.moveaxis(RNG.integers(0, 256, (20, 30, 3), np.uint8), -1, 0)
LUMA = np.array([0.299, 0.587, 0.114])


def run(pixels, *calls, seed=0):
    steps = [Call(name, {"p": 1.0, **args}) for name, args in calls]
    labels = LabelSet((Label("a", 1),))
    truth = Layers(np.zeros(pixels.shape[1:], np.uint8), labels)
    return load_augment(steps, labels)(pixels, truth, case_rng(seed, 0, 0))[0]


def as_bytes(values):
    return np.rint(np.clip(values, 0, 1) * 255)


def test_brightness_contrast():
    fixed = {"brightness": (0.1, 0.1), "contrast": (1.5, 1.5)}
    plain = PHOTO / 255
    expected = as_bytes((plain - plain.mean()) * 1.5 + plain.mean() + 0.1)
    assert np.abs(run(PHOTO, ("brightness_contrast", fixed)) - expected).max() <= 1


def test_colour_jitter_turns_hue_and_keeps_luma():
    half = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": (0.5, 0.5)}
    muted = 0.4 + 0.2 * (PHOTO / 255).astype(np.float32)  # far from clipping
    found = run(muted, ("colour_jitter", half))
    luma = np.tensordot(LUMA, muted, 1)
    np.testing.assert_allclose(np.tensordot(LUMA, found, 1), luma, atol=1e-3)
    np.testing.assert_allclose(found - luma, luma - muted, atol=1e-3)  # the opposite colour


def test_colour_jitter_without_saturation_is_grey():
    grey = {"brightness": 0, "contrast": 0, "saturation": (0, 0), "hue": 0}
    found = run(PHOTO, ("colour_jitter", grey))
    assert np.abs(found - np.tensordot(LUMA, PHOTO.astype(float), 1)).max() <= 1


def test_neighbours_are_fused_without_a_difference():
    one = ("colour_jitter", {"brightness": (1.2, 1.2), "contrast": (0.8, 0.8), "hue": (0.1, 0.1)})
    two = ("brightness_contrast", {"brightness": (-0.1, -0.1), "contrast": (1.1, 1.1)})
    muted = 0.4 + 0.2 * (PHOTO / 255).astype(np.float32)
    fixed = (one[0], {**one[1], "saturation": (0.7, 0.7)})
    np.testing.assert_allclose(run(muted, fixed, two), run(run(muted, fixed), two), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_gamma_and_contrast_agree_on_every_dtype(dtype, channels):
    values = RNG.random((channels, 12, 13))
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    calls = (
        ("gamma", {"gamma": (1.3, 1.3)}),
        ("brightness_contrast", {"brightness": (0.05, 0.05), "contrast": (0.9, 0.9)}),
    )
    curved = values**1.3
    expected = np.clip((curved - curved.mean()) * 0.9 + curved.mean() + 0.05, 0, 1)
    found = run((values * full).astype(dtype), *calls) / full
    np.testing.assert_allclose(found, expected, atol=2.5 / 255 if dtype == np.uint8 else 1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_channel_gain_multiplies_each_channel_by_its_own_factor(dtype, channels):
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    values = (0.2 + 0.5 * RNG.random((channels, 12, 13))) * full
    found = run(values.astype(dtype), ("channel_gain", {"gain": 0.3})) / full
    factors = found.sum((1, 2)) / (values / full).sum((1, 2))
    assert len(set(factors.round(3))) == channels
    assert ((factors > 0.7) & (factors < 1.3)).all()
    expected = values / full * factors[:, None, None]
    np.testing.assert_allclose(found, expected, atol=2 / 255 if dtype == np.uint8 else 1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(24, 32), (8, 12, 16)])
def test_low_resolution_keeps_what_is_coarse_and_loses_what_is_fine(dtype, shape):
    full = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    places = np.indices(shape)
    fine = places.sum(0) % 2 * 0.8 * full  # a chessboard
    coarse = sum(place / n for place, n in zip(places, shape, strict=True)) / len(shape) * full
    half = ("low_resolution", {"zoom": (0.5, 0.5)})
    inner = (0, *(slice(4, -4) if n > 8 else slice(3, -3) for n in shape))
    smooth = run(fine[None].astype(dtype), half)[inner] / full
    np.testing.assert_allclose(smooth, 0.4, atol=0.01)
    kept = run(coarse[None].astype(dtype), half)[inner]
    np.testing.assert_allclose(kept / full, coarse[inner[1:]] / full, atol=0.01)


def test_low_resolution_draws_its_zoom_from_the_whole_range():
    noise = RNG.random((1, 64, 64)).astype(np.float32)
    left = [run(noise, ("low_resolution", {"zoom": (0.25, 1)}), seed=i).std() for i in range(30)]
    least, most = (run(noise, ("low_resolution", {"zoom": (z, z)})).std() for z in (0.25, 1))
    assert least <= np.min(left) < least + 0.1 * (most - least)
    assert np.median(left) > least + 0.2 * (most - least)


@pytest.mark.parametrize("shape", [(24, 31), (9, 11, 10)])
def test_blur_is_a_gaussian(shape):
    values = RNG.random((3, *shape)).astype(np.float32)
    found = run(values, ("blur", {"sigma": (1.2, 1.2)}))
    for plane, blurred in zip(values, found, strict=True):
        expected = gaussian_filter(plane.astype(float), 1.2, mode="mirror", radius=4)
        np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_noise_has_its_strength():
    grey = np.full((3, 100, 100), 128, np.uint8)
    found = run(grey, ("noise", {"std": (0.04, 0.04)}))
    assert abs(found.mean() - 128) < 0.3
    assert abs(found.std() - 0.04 * 255) < 0.3


def test_dropout_sets_boxes_to_zero():
    found = run(
        np.full((3, 50, 60), 9, np.uint8), ("dropout", {"holes": (1, 1), "size": (0.2, 0.2)})
    )
    assert (found == 0).sum() == 3 * 10 * 12
