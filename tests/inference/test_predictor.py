import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from delineate.core import Case, Geometry, Image, Label, LabelSet, Output
from delineate.inference import CasePredictor, NotFiniteError
from delineate.prepare import load_prepare
from delineate.resolve import Call
from delineate.tasks import load_task

LABELS = LabelSet((Label("polyp", 1),))


def predictor(network, *steps):
    return CasePredictor(load_prepare(steps), network, load_task(Call("semantic"), LABELS))


def case(pixels):
    image = Image(pixels, Geometry.in_pixels(pixels.shape[1:]))
    return Case("photo-7", "p", lambda: image)


def as_they_are(pixels):
    return Output(pixels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_an_error_that_names_the_case(value):
    def network(pixels):
        logits = pixels.copy()
        logits[..., 3, 3] = value
        return Output(logits)

    with pytest.raises(
        NotFiniteError, match=r"^photo-7: the network's output contains NaN or infinity"
    ):
        predictor(network)(case(np.zeros((1, 8, 8), np.float32)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39, -1e300])
def test_pixels_that_are_not_finite_in_float32_are_an_error_that_names_the_case(value):
    pixels = np.zeros((1, 8, 8))
    pixels[0, 3, 3] = value
    with pytest.raises(
        NotFiniteError, match=r"^photo-7: the prepared image contains NaN, infinity"
    ):
        predictor(as_they_are)(case(pixels))


@pytest.mark.parametrize("value", [1e20, 1e38])
def test_an_image_that_cannot_be_standardized_in_float32_is_an_error_that_names_the_case(value):
    pixels = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    pixels[0, 3, 3] = value
    with pytest.raises(ValueError, match=r"^photo-7: standardize: .* too far for float32"):
        predictor(as_they_are, Call("standardize", {"by": "image"}))(case(pixels))


def test_stages_are_the_predictions_of_separate_predictors_from_one_call_of_the_network():
    called = []

    def network(pixels):
        called.append("network")
        return Output(pixels)

    def step(name, change):
        def refine(prediction, image):
            called.append(name)
            return prediction.changed(change(prediction.classes))

        return refine

    grow = step("grow", lambda classes: classes | np.roll(classes, 1, axis=0))
    flip = step("flip", lambda classes: classes[::-1])
    pixels = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    one = replace(predictor(network), keep_probabilities=True, temperature=2.0)
    stages = [(), (grow,), (grow, flip), (flip,), ()]
    found = list(one.in_stages(case(pixels), stages))
    assert called == ["network", "grow", "flip", "flip"]
    for steps, segmentation in zip(stages, found, strict=True):
        alone = replace(one, refine=steps)(case(pixels))
        np.testing.assert_array_equal(segmentation.classes, alone.classes)
        np.testing.assert_array_equal(segmentation.probabilities, alone.probabilities)
        assert segmentation.scores == alone.scores


def test_a_volume_takes_little_more_than_twice_its_probabilities_and_leaves_nothing():
    labels = LabelSet(tuple(Label(f"organ {value}", value) for value in range(1, 7)))
    shape = (40, 64, 64)
    maps = 7 * 4 * np.prod(shape)

    def network(pixels):
        return Output(np.repeat(pixels, 7, axis=1))

    ours = CasePredictor(
        load_prepare([Call("standardize", {"by": "image"})]),
        network,
        load_task(Call("semantic"), labels),
    )
    pixels = np.random.default_rng(0).integers(-1000, 1000, (1, *shape), np.int16)
    one = case(pixels)
    ours(one)
    gc.collect()
    gc.disable()  # nothing may wait for the collection of cycles
    tracemalloc.start()
    try:
        ours(one)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert peak < 2.4 * maps
    assert after < 0.1 * maps
