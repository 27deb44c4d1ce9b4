import json
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from delineate.core import Geometry, Image, LabelSet
from delineate.core.labels import Label
from delineate.data import cases_of
from delineate.data.phantom import phantom
from delineate.inference import Fingerprint, Measures
from delineate.prepare import load_prepare
from delineate.resolve import Call

PHOTOS = load_prepare(
    [Call("channels", {"count": 3}), Call("resize", {"shape": [64, 64]}), Call("standardize")]
)
SCANS = load_prepare([Call("standardize", {"by": "image"})])


def measured(image, prepare):
    return Measures.of(image, *prepare(image))


def photo(pixels):
    return Image(pixels, Geometry.in_pixels(pixels.shape[1:]))


def scan(pixels, spacing=1.0):
    affine = np.diag([spacing, spacing, spacing, 1.0])
    return Image(pixels, Geometry.in_patient(pixels.shape[1:], affine))


def drawn(scene, count, labels=("polyp",), **more):
    names = LabelSet(tuple(Label(name, i + 1) for i, name in enumerate(labels)))
    cases = phantom(
        labels=names, seed=0, scene=scene, cases=count, split={"train": 0.5, "test": 0.5}, **more
    )
    return [[case.image for case in cases[name]] for name in ("train", "test")]


@pytest.fixture(scope="module")
def frames():
    """A fingerprint of drawn photographs, and others of their kind."""
    train, test = drawn("endoscopy", 48, shape=(96, 96))
    return Fingerprint.of([measured(image, PHOTOS) for image in train]), test


@pytest.fixture(scope="module")
def volumes():
    """The same of volumes whose scale means nothing, each standardized by itself."""
    train, test = drawn("abdomen_3d", 16, ("liver",), shape=(24, 24, 16))
    rng = np.random.default_rng(0)
    scaled = [scan((i.pixels + 1100) * rng.uniform(0.1, 1000)) for i in train]
    return Fingerprint.of([measured(image, SCANS) for image in scaled]), [
        scan(image.pixels) for image in test
    ]


def spoilt(pixels, value=1e20):
    """Pixels with one, or a row, that is far from the others."""
    pixels = pixels.copy()
    pixels[:, 7, 7] = value
    return pixels


def test_other_images_of_the_kind_are_not_unlike(frames, volumes):
    for (fingerprint, others), prepare in ((frames, PHOTOS), (volumes, SCANS)):
        unlike = [bool(fingerprint.differences(measured(image, prepare))) for image in others]
        assert np.mean(unlike) <= 0.02


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: (p / 255 * 4095).astype(np.uint16), r"values \d+ to \d+, uint16; training"),
        (lambda p: p.astype(np.float32), "float32; training images .* uint8"),
        (lambda p: p // 8, r"values 0 to \d+, uint8; training images 0 to 255, uint8"),
        (lambda p: np.zeros_like(p), "one value everywhere, 0"),
        (lambda p: np.full_like(p, 120), "one value everywhere, 120"),
        (lambda p: 255 - p, "when prepared"),
        (lambda p: spoilt(p / np.float32(255)), r"to 1e\+20, float32"),
        (lambda p: p[:1], r"channels: 1 \(no colour\); training images have 3"),
        (lambda p: p[[0, 0, 0]], r"channels: 1 \(no colour\); training images have 3"),
        (lambda p: p[:, ::12, ::12], "shape 8 x 8; training images have at least 96 x 96"),
    ],
)
def test_a_photograph_unlike_the_training_images_is_told_how(frames, change, said):
    fingerprint, others = frames
    for image in others[:10]:
        differences = fingerprint.differences(measured(photo(change(image.pixels)), PHOTOS))
        assert re.search(said, "; ".join(differences))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.max() - p, "bright and dark parts are in other places|than training images"),
        (lambda p: spoilt(p.astype(np.float32), 1e6), "largest value when prepared"),
        (lambda p: np.zeros_like(p), "one value everywhere"),
    ],
)
def test_a_scan_unlike_the_training_images_is_told_how(volumes, change, said):
    fingerprint, others = volumes
    for image in others:
        differences = fingerprint.differences(measured(scan(change(image.pixels)), SCANS))
        assert re.search(said, "; ".join(differences))


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_a_spacing_ten_times_off_is_unlike(volumes, factor):
    fingerprint, others = volumes
    (said,) = fingerprint.differences(measured(scan(others[0].pixels, factor), SCANS))
    assert said.startswith(f"spacing {factor:g} x {factor:g} x {factor:g} mm when prepared")


def test_what_preparation_makes_equal_is_no_difference(frames, volumes):
    fingerprint, others = frames
    pixels = others[0].pixels
    assert not fingerprint.differences(measured(photo(pixels / np.float32(255)), PHOTOS))
    assert not fingerprint.differences(measured(photo(pixels.astype(np.uint16) * 257), PHOTOS))
    large = np.kron(pixels, np.ones((1, 12, 12), np.uint8))
    assert not fingerprint.differences(measured(photo(large), PHOTOS))
    fingerprint, others = volumes
    assert not fingerprint.differences(measured(scan(others[0].pixels * 1e6), SCANS))


def test_other_axes_and_another_unit_are_unlike(volumes):
    fingerprint, others = volumes
    flat = photo(others[0].pixels[..., 8])
    assert fingerprint.differences(measured(flat, SCANS)) == ("2 axes; training images have 3",)
    pixels = Image(others[0].pixels, Geometry.in_pixels(others[0].geometry.shape))
    (said,) = fingerprint.differences(measured(pixels, SCANS))
    assert said == "spacing in px; training images have spacing in mm"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        hnp.arrays(np.float32, (1, 5, 6), elements=st.floats(-1e6, 1e6, width=32)),
        min_size=1,
        max_size=4,
    )
)
@example([np.full((1, 5, 6), 100000.5, np.float32)])  # more digits than are stored
def test_no_training_image_is_unlike_the_training_images(images):
    seen = [measured(photo(pixels), load_prepare([])) for pixels in images]
    tree = json.loads(json.dumps(Fingerprint.of(seen).as_json()))
    again = Fingerprint.from_json(tree)
    assert again == Fingerprint.of(seen)
    assert not any(again.differences(one) for one in seen)


def test_a_fingerprint_of_another_format_says_nothing_and_a_damaged_one_is_refused(frames):
    tree = frames[0].as_json()
    assert Fingerprint.from_json({**tree, "format": 99}) is None
    assert Fingerprint.from_json({}) is None
    del tree["levels"]
    with pytest.raises(ValueError, match="damaged: .*levels"):
        Fingerprint.from_json(tree)


@pytest.mark.slow
def test_frames_of_other_centres_are_rarely_unlike(real_data):
    learnt = cases_of([real_data / "kvasir_seg_352/images/tr_*.jpg"])[:256]
    fingerprint = Fingerprint.of([measured(case.image, PHOTOS) for case in learnt])
    for folder, most in (("polyp_external_small", 0.08), ("neopolyp_bkai", 0.02)):
        others = cases_of([real_data / folder / "images"])
        unlike = [bool(fingerprint.differences(measured(c.image, PHOTOS))) for c in others]
        assert np.mean(unlike) <= most
    films = cases_of([real_data / "cxr_lung_v7/images"])[:50]
    assert all(fingerprint.differences(measured(case.image, PHOTOS)) for case in films)


@pytest.mark.parametrize(
    "damage",
    [
        {"levels": [[float("nan")], [1.0]]},
        {"values": [[0.0, 1.0], [1.0]]},
        {"values": []},
        {"contrast": [["low"], ["high"]]},
        {"channels": "abc"},
        {"layout": [None]},
        {"images": 0},
    ],
)
def test_a_damaged_fingerprint_is_refused(frames, damage):
    known = json.loads(json.dumps(frames[0].as_json()))
    assert Fingerprint.from_json(known) == frames[0]
    with pytest.raises(ValueError, match=f"fingerprint is damaged: {next(iter(damage))}"):
        Fingerprint.from_json(known | damage)


def test_a_fingerprint_that_is_no_mapping_is_refused():
    with pytest.raises(ValueError, match="fingerprint is damaged"):
        Fingerprint.from_json("x")
