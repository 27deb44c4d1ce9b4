"""What holds for every overlap metric, whatever file it is in."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import counts, load_metrics
from delineate.resolve import Call, RecipeError, names, resolve

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2, "thing"), Label("unsure", 9, "ignore")))
few = settings(max_examples=25, deadline=None)


def segmentation(classes, labels=LABELS):
    classes = np.asarray(classes, np.uint8)
    return Segmentation(classes, labels, Geometry.in_pixels(classes.shape))


@st.composite
def pairs(draw, values=(0, 1, 2)):
    shape = draw(st.sampled_from([(1, 1), (7, 5), (4, 9), (3, 4, 5)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.dirichlet(np.full(len(values), 0.5))
    return tuple(rng.choice(values, size=shape, p=weights).astype(np.uint8) for _ in range(2))


def same(a, b):
    return a.keys() == b.keys() and all(a[k] == pytest.approx(b[k], nan_ok=True) for k in a)


@pytest.fixture(params=names("metrics"))
def metric(request):
    return resolve("metrics", request.param)


def test_takes_found_before_truth_and_says_what_it_is(metric):
    assert list(inspect.signature(metric).parameters)[:2] == ["found", "truth"]
    assert inspect.getdoc(metric)


@few
@given(pairs())
def test_is_one_on_itself_where_there_is_something(pair):
    truth = segmentation(pair[1])
    for name in names("metrics"):
        for label, score in resolve("metrics", name)(truth, truth).items():
            there = label == "all" or truth.mask(label).any()
            assert score == 1 if there else math.isnan(score)


@few
@given(pairs(), st.integers(0, 2))
def test_is_unchanged_by_flips_axis_order_and_other_values(pair, axis):
    found, truth = pair
    relabelled = LabelSet((Label("tumour", 40), Label("liver", 7)))
    values = np.zeros(256, np.uint8)
    values[[1, 2]] = 7, 40
    moves = [
        lambda s: segmentation(np.flip(s, axis % s.ndim)),
        lambda s: segmentation(s.T),
        lambda s: segmentation(values[s], relabelled),
    ]
    for name in names("metrics"):
        judge = resolve("metrics", name)
        expected = judge(segmentation(found), segmentation(truth))
        for move in moves:
            assert same(judge(move(found), move(truth)), expected)
        assert same(judge(moves[2](found), segmentation(truth)), expected)


@few
@given(pairs())
def test_dice_and_iou_are_symmetric_and_precision_is_recall_turned_round(pair):
    a, b = map(segmentation, pair)
    metric = load_metrics([Call(n) for n in ("dice", "iou", "precision", "recall")])
    assert same(metric["dice"](a, b), metric["dice"](b, a))
    assert same(metric["iou"](a, b), metric["iou"](b, a))
    assert same(metric["precision"](a, b), metric["recall"](b, a))
    dice, iou = metric["dice"](a, b), metric["iou"](a, b)
    assert same(iou, {label: d / (2 - d) for label, d in dice.items()})


@few
@given(pairs(values=(0, 1, 2, 9)))
def test_agrees_with_sets_of_places(pair):
    found, truth = map(segmentation, pair)
    judged = {place for place, value in np.ndenumerate(truth.classes) if value != 9}

    def places(s, value):
        return {place for place in judged if s.classes[place] == value}

    def over(part, whole):
        return part / whole if whole else math.nan

    for label in LABELS:
        f, t = places(found, label.value), places(truth, label.value)
        expected = {
            "dice": over(2 * len(f & t), len(f) + len(t)),
            "iou": over(len(f & t), len(f | t)),
            "precision": over(len(f & t), len(f)),
            "recall": over(len(f & t), len(t)),
        }
        for name, value in expected.items():
            score = resolve("metrics", name)(found, truth)[label.name]
            assert score == pytest.approx(value, nan_ok=True)


@few
@given(pairs(values=(0, 1, 2, 9)), st.integers(0, 2))
def test_ignored_pixels_change_nothing(pair, value):
    found, truth = pair
    changed = np.where(truth == 9, value, found)
    for name in names("metrics"):
        judge = resolve("metrics", name)
        assert same(
            judge(segmentation(changed), segmentation(truth)),
            judge(segmentation(found), segmentation(truth)),
        )


def test_hand_drawn():
    truth = segmentation([[0, 1, 1, 1], [0, 1, 1, 1]])
    found = segmentation([[1, 1, 1, 0], [1, 1, 1, 0]])
    score = {name: resolve("metrics", name)(found, truth) for name in names("metrics")}
    assert score["dice"]["liver"] == pytest.approx(8 / 12)
    assert score["iou"]["liver"] == pytest.approx(4 / 8)
    assert score["precision"]["liver"] == score["recall"]["liver"] == pytest.approx(4 / 6)
    assert score["pixel_accuracy"] == {"all": pytest.approx(4 / 8)}


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([[0, 0]], [[0, 0]], {"dice": None, "iou": None, "precision": None, "recall": None}),
        ([[1, 0]], [[0, 0]], {"dice": 0, "iou": 0, "precision": 0, "recall": None}),
        ([[0, 0]], [[1, 0]], {"dice": 0, "iou": 0, "precision": None, "recall": 0}),
    ],
)
def test_the_empty_rule(found, truth, expected):
    for name, value in expected.items():
        score = resolve("metrics", name)(segmentation(found), segmentation(truth))["liver"]
        assert math.isnan(score) if value is None else score == value


def test_everything_ignored_has_no_accuracy():
    found, truth = segmentation([[0, 1]]), segmentation([[9, 9]])
    assert math.isnan(resolve("metrics", "pixel_accuracy")(found, truth)["all"])


def test_load_metrics_keeps_the_order_and_the_names():
    metrics = load_metrics([Call("iou"), Call("dice"), Call("delineate.metrics.recall:recall")])
    assert list(metrics) == ["iou", "dice", "recall"]
    with pytest.raises(RecipeError, match="named twice"):
        load_metrics([Call("dice"), Call("dice")])
    with pytest.raises(RecipeError, match="did you mean 'dice'"):
        load_metrics([Call("dise")])


def test_the_matrix_is_counted_once_per_pair():
    found, truth = segmentation([[1, 0]]), segmentation([[1, 1]])
    assert counts(found, truth) is counts(found, truth)
    assert counts(segmentation([[1, 0]]), truth) is not counts(found, truth)
