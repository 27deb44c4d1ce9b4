from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Case, Geometry, Image, Label, LabelSet, Output, Segmentation
from delineate.inference import CasePredictor
from delineate.inference.confidence import expected_dice
from delineate.metrics import load_metrics
from delineate.prepare import Prepare
from delineate.refine import load_refine
from delineate.resolve import Call
from delineate.tasks.semantic import semantic

POLYP = LabelSet((Label("polyp", 7),))
TWO = LabelSet((Label("liver", 4), Label("tumour", 9), Label("unsure", 2, "ignore")))


def finding(p, labels=POLYP, classes=None):
    """Of the probabilities of labels, (label, *spatial), the rest being background."""
    p = np.asarray(p, np.float32)
    p = np.concatenate([1 - p.sum(axis=0, keepdims=True), p])
    if classes is None:
        classes = np.array([0, *labels.values], np.uint8)[p.argmax(axis=0)]
    return Segmentation(classes, labels, Geometry.in_pixels(p.shape[1:]), probabilities=p)


def heated(p, temperature):
    """Label against the rest, in double precision."""
    p = p.astype(float)
    return p ** (1 / temperature) / (p ** (1 / temperature) + (1 - p) ** (1 / temperature))


def integrated(mask, p):
    """The mean Dice of a mask with {p >= u} over u uniform in 0 to 1, level by level."""
    levels = np.unique(np.concatenate([[0, 1], p]))
    total = 0.0
    for low, high in pairwise(levels):
        truth = p >= high  # for every u in (low, high]
        whole = mask.sum() + truth.sum()
        total += (high - low) * (2 * (mask & truth).sum() / whole if whole else 1)
    return total


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 1), (6, 5), (3, 4, 5)]),
    st.sampled_from([0.5, 1.0, 1.7, 3.0]),
)
def test_is_the_mean_dice_with_the_level_sets(seed, shape, temperature):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([1.0, 0.4, 0.4], size=shape).astype(np.float32)
    found = finding(np.moveaxis(p, -1, 0)[1:], TWO)
    expected = expected_dice(found, temperature=temperature)
    assert list(expected) == ["liver", "tumour"]
    for name, channel in zip(expected, (1, 2), strict=True):
        exact = integrated(
            found.mask(name).ravel(), heated(found.probabilities[channel].ravel(), temperature)
        )
        assert expected[name] == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_is_unchanged_by_flips_and_scale(axes):
    p = np.random.default_rng(3).beta(0.3, 0.6, size=(1, 8, 9)).astype(np.float32)
    said = expected_dice(finding(p))["polyp"]
    assert expected_dice(finding(np.flip(p, [a + 1 for a in axes])))["polyp"] == said
    assert expected_dice(finding(p.repeat(2, 1).repeat(2, 2)))["polyp"] == pytest.approx(said)


def test_two_levels_by_hand():
    # u up to 0.2: everything is true; up to 0.6: the four found ones; above: nothing
    p = np.full((1, 4, 4), 0.2)
    p[0, :2, :2] = 0.6
    expected = 0.2 * 2 * 4 / (4 + 16) + 0.4 * 1 + 0.4 * 0
    assert expected_dice(finding(p))["polyp"] == pytest.approx(expected, abs=0.005)


def test_the_sure_are_sure_and_what_was_dropped_is_not():
    p = np.zeros((1, 4, 4))
    p[0, :2] = 1
    found = finding(p)
    assert expected_dice(found)["polyp"] == pytest.approx(1, abs=1e-5)
    dropped = replace(found, classes=np.zeros_like(found.classes))
    assert expected_dice(dropped)["polyp"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("largest", [0.01, 0.3, 0.49])
def test_of_nothing_it_is_the_probability_that_nothing_is_there(largest):
    p = np.full((1, 64, 64), 0.001)
    p[0, 5, 5] = largest
    assert expected_dice(finding(p))["polyp"] == pytest.approx(1 - largest, abs=0.005)


def test_faint_background_does_not_add_up():
    p = np.full((1, 400, 400), 0.002)  # 320 samples in sum, where 400 are found
    p[0, :20, :20] = 0.95
    assert expected_dice(finding(p))["polyp"] == pytest.approx(0.95, abs=0.01)


def test_heat_takes_confidence_and_keeps_the_order_of_levels():
    p = np.full((1, 9, 9), 0.01)
    p[0, 3:6, 3:6] = 0.9
    said = [expected_dice(finding(p), temperature=t)["polyp"] for t in (0.5, 1, 2, 4)]
    assert said == sorted(said, reverse=True)


def test_refuses_what_it_cannot_tell():
    found = finding(np.full((1, 2, 2), 0.3))
    with pytest.raises(ValueError, match="probabilities, and this segmentation has none"):
        expected_dice(replace(found, probabilities=None))
    for temperature in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="expected a positive number"):
            expected_dice(found, temperature=temperature)


@pytest.mark.parametrize("keep", [True, False])
def test_a_predictor_says_it_of_the_mask_it_gives_out(keep):
    pixels = np.full((1, 8, 8), -6.0, np.float32)
    pixels[0, :4, :4] = 2.0
    pixels[0, 7, 7] = 1.0  # found, and dropped again
    image = Image(pixels, Geometry.in_pixels((8, 8)))
    predictor = CasePredictor(
        Prepare(),
        Output,
        semantic(POLYP),
        load_refine([Call("remove_small_objects", {"min_size": 4})]),
        keep_probabilities=keep,
        temperature=1.5,
    )
    found = predictor(Case("a", "a", lambda: image))
    assert (found.probabilities is not None) == keep
    p = 1 / (1 + np.exp(-pixels / 1.5))
    exact = integrated(found.mask("polyp").ravel(), p.astype(float).ravel())
    assert found.scores == {"expected dice of polyp": pytest.approx(exact, abs=0.005)}
    judged = load_metrics([Call("expected_dice")])["expected_dice"](found, found)
    assert judged == {"polyp": found.scores["expected dice of polyp"]}
