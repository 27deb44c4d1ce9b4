"""Metrics that judge whether an image shows a label, over images."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import by_level, load_metrics, pool, pool_weighted
from delineate.resolve import Call, names, resolve

POLYP = LabelSet((Label("polyp", 1),))
GRID = Geometry.in_pixels((2, 2))
NOTHING = np.zeros((2, 2), np.uint8)
LEVELS = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 0.9, 1.0])
"""Few of them, so that many are equal."""
images = st.lists(st.tuples(LEVELS, st.booleans()), min_size=2, max_size=40)
IMAGE_LEVEL = [name for name in names("metrics") if name.startswith("image_")]
STATED = ("image_auroc", "image_average_precision", "image_brier", "image_ece")


def truth_of(there):
    return Segmentation(NOTHING, POLYP, GRID, present={"polyp": there}, outlined=False)


def said(probability, threshold=0.5):
    return Segmentation(
        NOTHING,
        POLYP,
        GRID,
        scores={"presence of polyp": probability},
        present={"polyp": probability >= threshold},
        outlined=False,
    )


def tallies(name, seen):
    metric = resolve("metrics", name)
    return [metric(said(p), truth_of(t))["polyp"] for p, t in seen]


def pooled(name, seen):
    return pool(tallies(name, seen))


def both(seen):
    return len({t for _, t in seen}) == 2


@settings(max_examples=150, deadline=None)
@given(images)
def test_scores_equal_those_of_scikit_learn_with_ties(seen):
    p, t = (np.array(of) for of in zip(*seen, strict=True))
    decided = p >= 0.5
    expected = {
        "image_auroc": sk.roc_auc_score(t, p) if both(seen) else math.nan,
        "image_average_precision": sk.average_precision_score(t, p) if both(seen) else math.nan,
        "image_brier": np.mean((p - t) ** 2),
        "image_sensitivity": sk.recall_score(t, decided) if t.any() else math.nan,
        "image_specificity": sk.recall_score(~t, ~decided) if not t.all() else math.nan,
        "image_precision": sk.precision_score(t, decided) if decided.any() else math.nan,
        "image_f_beta": sk.fbeta_score(t, decided, beta=2) if (t | decided).any() else math.nan,
        "image_accuracy": sk.balanced_accuracy_score(t, decided) if both(seen) else math.nan,
    }
    for name, value in expected.items():
        assert pooled(name, seen) == pytest.approx(value, abs=1e-12, nan_ok=True), name


@settings(max_examples=50, deadline=None)
@given(images, st.integers(0, 2**32 - 1))
def test_an_image_that_counts_twice_is_as_good_as_two_images(seen, seed):
    times = np.random.default_rng(seed).integers(0, 4, len(seen))
    repeated = [one for one, n in zip(seen, times, strict=True) for _ in range(n)]
    for name in IMAGE_LEVEL:
        (weighted,) = pool_weighted(tallies(name, seen), times[None].astype(float))
        again = pooled(name, repeated)
        assert weighted == pytest.approx(again, abs=1e-12, nan_ok=True), name


@settings(max_examples=50, deadline=None)
@given(images, st.lists(LEVELS, max_size=5))
def test_images_of_unknown_truth_change_nothing(seen, unknown):
    for name in IMAGE_LEVEL:
        metric = resolve("metrics", name)
        aside = [metric(said(p), truth_of(None))["polyp"] for p in unknown]
        assert all(math.isnan(one) and not one.parts.any() for one in aside)
        assert pool([*aside, *tallies(name, seen)]) == pytest.approx(
            pooled(name, seen), nan_ok=True
        )


def test_an_image_with_probability_0_counts():
    """A tally of zeros alone says that nothing is known of an image."""
    for name in STATED:
        assert tallies(name, [(0.0, False)])[0].parts.any(), name


def test_a_published_example_of_the_calibration_error():
    """The example of torchmetrics' binary calibration error: two bins, mean gap 0.15 (L1)."""
    seen = list(zip((0.25, 0.25, 0.75, 0.9, 0.1), (False, True, True, True, False), strict=True))
    metric = load_metrics([Call("image_ece", {"bins": 2})])["image_ece(bins=2)"]
    score = pool([metric(said(p), truth_of(t))["polyp"] for p, t in seen])
    assert score == pytest.approx(0.15)


def test_the_published_example_of_the_f_beta_score():
    """F2 = 5 P R / (4 P + R), with P = 2/3 and R = 1/2."""
    seen = [(0.9, True), (0.9, True), (0.9, False), (0.1, True), (0.1, True), (0.1, False)]
    precision, recall = 2 / 3, 1 / 2
    expected = 5 * precision * recall / (4 * precision + recall)
    assert pooled("image_f_beta", seen) == pytest.approx(expected)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["image_auroc", "image_average_precision", "image_accuracy"])
def test_one_class_alone_has_no_score(name, there):
    assert math.isnan(pooled(name, [(0.2, there), (0.9, there)]))


def test_a_mask_decides_where_nothing_else_does_and_states_no_probability():
    shown = Segmentation(np.eye(2, dtype=np.uint8), POLYP, GRID)
    empty = Segmentation(NOTHING, POLYP, GRID)
    pairs = [(shown, shown), (shown, empty), (empty, shown), (shown, shown)]
    metrics = load_metrics([Call(name) for name in IMAGE_LEVEL if name not in STATED])
    found = {n: pool([metric(p, t)["polyp"] for p, t in pairs]) for n, metric in metrics.items()}
    assert found == {
        "image_sensitivity": pytest.approx(2 / 3),
        "image_specificity": 0,
        "image_precision": pytest.approx(2 / 3),
        "image_f_beta": pytest.approx(2 / 3),
        "image_accuracy": pytest.approx(1 / 3),
    }
    for name in STATED:
        with pytest.raises(ValueError, match="does not state the probability"):
            resolve("metrics", name)(shown, empty)


def test_what_is_found_where_the_truth_ignores_is_not_shown():
    labels = LabelSet((Label("polyp", 1), Label("unsure", 9, "ignore")))
    prediction = Segmentation(np.array([[1, 0]], np.uint8), labels, Geometry.in_pixels((1, 2)))
    truth = Segmentation(np.array([[9, 0]], np.uint8), labels, Geometry.in_pixels((1, 2)))
    assert resolve("metrics", "image_specificity")(prediction, truth)["polyp"] == 1


@pytest.mark.parametrize("name", STATED)
def test_a_stated_probability_must_be_one(name):
    with pytest.raises(ValueError, match="expected 0 to 1"):
        resolve("metrics", name)(said(1.5), truth_of(True))


def test_ten_thousand_images_are_ranked_in_little_memory():
    rng = np.random.default_rng(0)
    parts = [np.array([1.0, p, p > rng.random()]) for p in rng.random(10_000)]
    absent, present = by_level(parts, np.ones((4, 10_000)))
    assert absent.shape == present.shape == (4, 10_000)
    assert (absent + present == 1).all()
