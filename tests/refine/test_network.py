"""The refinement network: crops of regions, the way back, and what it may change."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Image, Label, LabelSet, Output, Segmentation
from delineate.models import load_model
from delineate.models.region_refiner import logits_of as torch_logits_of
from delineate.refine._crops import crops, logits_of
from delineate.refine.network import network
from delineate.resolve import Call

ONE = LabelSet((Label("polyp", 1),))
TWO = LabelSet((Label("neoplastic", 1), Label("other", 5)))


def scene(labels=TWO, shape=(90, 120), seed=0):
    """An image, and a soft prediction of some discs in it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    logits = rng.normal(0, 0.3, (len(labels), *shape)).astype(np.float32) - 4
    for _ in range(3):
        row, column, radius = rng.integers(shape[0]), rng.integers(shape[1]), rng.integers(4, 25)
        logits[rng.integers(len(labels))] += 8 * (np.hypot(rows - row, columns - column) < radius)
    powers = np.exp(np.concatenate([np.zeros((1, *shape), np.float32), logits]))
    maps = powers / powers.sum(axis=0)
    values = np.array([0, *labels.values], np.uint8)
    geometry = Geometry.in_pixels(shape)
    prediction = Segmentation(values[maps.argmax(0)], labels, geometry, probabilities=maps)
    image = Image(rng.integers(0, 255, (3, *shape), dtype=np.uint8), geometry)
    return prediction, image


def fixed(change):
    """A network that adds `change` (logit,) within the inner half of the band."""

    def run(pixels):
        count = len(change)
        given_maps, distance = pixels[:, -count - 1 : -1], pixels[:, -1:]
        logits = np.stack([logits_of(maps) for maps in given_maps])
        near = np.clip(2 - 2 * np.abs(distance), 0, 1)
        return Output(logits + near * np.reshape(change, (1, -1, 1, 1)))

    return lambda path: (run, 3 + len(change) + 1)


def untrained(channels, classes):
    model = load_model(Call("region_refiner"), channels, {"dense": classes}, 2).eval()

    def run(pixels):
        with torch.no_grad():
            return Output(model(torch.from_numpy(pixels)).logits.numpy())

    return lambda path: (run, channels)


@pytest.mark.parametrize("labels", [ONE, TWO])
def test_an_untrained_network_changes_nothing(labels):
    prediction, image = scene(labels)
    count = 1 if labels is ONE else 3
    result = network("bundle", untrained(3 + count + 1, count))(prediction, image)
    assert np.array_equal(result.classes, prediction.classes)
    assert np.array_equal(result.probabilities, prediction.probabilities)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    labels=st.sampled_from([ONE, TWO]),
    grow=st.booleans(),
)
def test_labels_change_near_a_border_only_and_agree_with_the_probabilities(
    seed, height, width, labels, grow
):
    prediction, image = scene(labels, (height, width), seed)
    sign = 4.0 if grow else -4.0
    change = [sign] if labels is ONE else [-sign, 0.0, 0.0]
    result = network("bundle", fixed(change))(prediction, image)
    before, after = prediction.classes != 0, result.classes != 0
    assert (after >= before).all() if grow else (after <= before).all()
    assert np.array_equal(
        np.array([0, *labels.values])[result.probabilities.argmax(0)], result.classes
    )
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-5)
    same = (result.probabilities == prediction.probabilities).all(axis=0)
    assert (result.classes[same] == prediction.classes[same]).all()


def test_a_disc_grows_by_the_part_of_the_band_that_is_changed():
    rows, columns = np.mgrid[:200, :200]
    away = np.hypot(rows - 100, columns - 100)
    inside = np.where(away < 60, 0.9, 0.1).astype(np.float32)
    geometry = Geometry.in_pixels((200, 200))
    maps = np.stack([1 - inside, inside])
    prediction = Segmentation(np.uint8(away < 60), ONE, geometry, probabilities=maps)
    image = Image(np.zeros((1, 200, 200), np.uint8), geometry)
    result = network("bundle", fixed([6.0]))(prediction, image)
    # the band has a half width of 12; the correction exceeds log 9 up to 0.817 of it
    grown = np.sqrt(result.classes.sum() / np.pi)
    assert grown == pytest.approx(60 + 12 * (1 - np.log(9) / 12), abs=1.0)


def test_crops_show_the_image_the_probabilities_and_the_distance_to_the_border():
    prediction, image = scene()
    seen = list(crops(prediction, image, 3, size=64))
    assert seen
    for crop in seen:
        assert crop.pixels.shape == (3 + 3 + 1, 64, 64)
        assert crop.pixels.dtype == np.float32
        np.testing.assert_allclose(crop.pixels[3:6].sum(0), 1, atol=1e-4)
        assert (np.abs(crop.pixels[-1]) <= 1).all()
        assert (crop.pixels[-1] < 0).any()
        part = prediction.classes[crop.place]
        assert crop.back(np.zeros((2, 64, 64), np.float32)).shape == (2, *part.shape)


def test_a_region_at_the_edge_of_the_image_has_no_border_there():
    classes = np.zeros((64, 64), np.uint8)
    classes[:20] = 1
    maps = np.stack([classes == 0, classes == 1]).astype(np.float32)
    geometry = Geometry.in_pixels(classes.shape)
    prediction = Segmentation(classes, ONE, geometry, probabilities=maps)
    (crop,) = crops(prediction, Image(np.zeros((1, 64, 64)), geometry), 1, size=80)
    middle = crop.pixels[-1][:, 40]
    assert (np.diff(middle) >= 0).all(), "inside from the edge of the image to the only border"


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=5), st.sampled_from([1, 2, 4]))
def test_logits_are_those_of_the_model(values, channels):
    maps = np.array([values] * channels, np.float32)[..., None]
    theirs = torch_logits_of(torch.from_numpy(maps)[None])[0].numpy()
    np.testing.assert_allclose(logits_of(maps), theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": None}, "needs the probabilities"),
        ({"probabilities": np.full((3, 90, 120), np.nan)}, "NaN or infinity"),
        (
            {"labels": LabelSet((Label("a", 1, includes=("b",)), Label("b", 5)))},
            "labels that exclude each other",
        ),
    ],
)
def test_a_prediction_that_cannot_be_refined_is_refused(change, message):
    from dataclasses import replace

    prediction, image = scene()
    with pytest.raises(ValueError, match=message):
        network("bundle", fixed([0.0] * 3))(replace(prediction, **change), image)


def test_a_volume_stays_as_it_is_with_a_warning(capsys):
    geometry = Geometry.in_pixels((4, 4, 4))
    classes = np.ones((4, 4, 4), np.uint8)
    maps = np.stack([classes == 0, classes == 1]).astype(np.float32)
    prediction = Segmentation(classes, ONE, geometry, probabilities=maps)
    image = Image(np.zeros((1, 4, 4, 4)), geometry)
    assert network("bundle", fixed([9.0]))(prediction, image) is prediction
    assert "this volume is not refined" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "same"), [(1, False), (3, True), (4, True)])
def test_images_are_converted_to_the_channels_that_the_network_learnt_from(given, same):
    prediction, image = scene()
    pixels = np.concatenate([image.pixels, 200 + 0 * image.pixels[:1]])[:given]
    theirs = list(crops(prediction, Image(pixels, image.geometry), 3))
    ours = list(crops(prediction, image, 3))
    assert [crop.pixels.shape for crop in theirs] == [crop.pixels.shape for crop in ours]
    # not to the bit: NumPy sums in another order where the memory is aligned otherwise
    equal = [np.allclose(a.pixels, b.pixels, atol=1e-5) for a, b in zip(theirs, ours, strict=True)]
    assert all(equal) == same
    if given == 1:
        assert (theirs[0].pixels[0] == theirs[0].pixels[2]).all()
    (grey, *_) = crops(prediction, image, 1)
    assert len(grey.pixels) == 1 + 3 + 1


def test_an_image_with_other_channels_is_refused():
    prediction, image = scene()
    five = Image(np.concatenate([image.pixels] * 2)[:5], image.geometry)
    with pytest.raises(ValueError, match="5 channels; the refinement network takes images with 3"):
        network("bundle", fixed([0.0] * 3))(prediction, five)


def test_a_network_with_other_logits_is_refused():
    prediction, image = scene(ONE)
    with pytest.raises(ValueError, match="3 logits, but 1 are needed"):
        network("bundle", lambda path: (lambda p: Output(np.zeros((len(p), 3, 128, 128))), 5))(
            prediction, image
        )


def test_of_thousands_of_specks_the_largest_are_refined():
    classes = np.zeros((256, 256), np.uint8)
    classes[::4, ::4] = 1
    classes[100:140, 100:140] = 1
    maps = np.stack([classes == 0, classes == 1]).astype(np.float32)
    geometry = Geometry.in_pixels(classes.shape)
    prediction = Segmentation(classes, ONE, geometry, probabilities=maps)
    found = list(crops(prediction, Image(np.zeros((1, 256, 256)), geometry), 1))
    assert len(found) == 64
    assert found[0].place[0].start < 100 < 140 < found[0].place[0].stop
