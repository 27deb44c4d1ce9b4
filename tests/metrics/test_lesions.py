"""Lesion-wise recall, precision and F1, by the rules of LiTS."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics import pool
from delineate.metrics._overlaps import lesions
from delineate.metrics.lesion_f1 import lesion_f1
from delineate.metrics.lesion_precision import lesion_precision
from delineate.metrics.lesion_recall import lesion_recall

LABELS = LabelSet((Label("liver", 1), Label("tumour", 2, "thing"), Label("unsure", 9, "ignore")))
few = settings(max_examples=25, deadline=None)


def segmentation(classes, instances=(), labels=LABELS):
    classes = np.asarray(classes, np.uint8)
    return Segmentation(classes, labels, Geometry.in_pixels(classes.shape), tuple(instances))


def row(drawing, deep=False):
    """Lesions drawn as X, what is ignored as ?; in 3D a row through the middle of a volume."""
    line = np.array([{"X": 2, "?": 9, ".": 0}[c] for c in drawing], np.uint8)
    if not deep:
        return segmentation(line[None])
    volume = np.zeros((3, 3, len(line)), np.uint8)
    volume[1, 1] = line
    return segmentation(volume)


def detected(prediction, truth, iou=0.0):
    """Lesions detected, found and true."""
    n = lesions(prediction, truth, iou)
    return int(n.detected[0]), int(n.prediction[0]), int(n.true[0])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("truth", "prediction", "at_0", "at_half"),
    [
        # each alone: found well, found a little, found at exactly one half, missed, found where nothing is
        ("XXXX......", "XXX.......", (1, 1, 1), (1, 1, 1)),
        ("XXXX......", "...XXX....", (1, 1, 1), (0, 1, 1)),
        ("XXXX......", "XX........", (1, 1, 1), (0, 1, 1)),
        ("XXXX......", "......XX..", (0, 1, 1), (0, 1, 1)),
        # two true ones bridged by one found: one detection, so one of the two is missed
        ("XXX.XXX...", "XXXXXXX...", (1, 1, 2), (1, 1, 2)),
        ("X.....X...", "XXXXXXX...", (1, 1, 2), (0, 1, 2)),
        # a lesion found in two pieces: one detection, so one of the two is false
        ("XXXXXXX...", "XXX.XXX...", (1, 2, 1), (1, 2, 1)),
        ("XXXXXXX...", "X.....X...", (1, 2, 1), (0, 2, 1)),
        # a found one on two true ones, of which another found one meets the first better
        ("XXXX.XXXXX", "XX.XXXXXX.", (2, 2, 2), (1, 2, 2)),
        # one that meets its own less than a true one that another found meets best: it goes to the latter
        ("XXXXXX.X..", "XXX.XXXX..", (1, 2, 2), (1, 2, 2)),
        # equal overlaps merge, of one found with two true ones and of one true with two found
        ("XXXX.XXXX.", "XX.XXX....", (1, 2, 2), (0, 2, 2)),
        ("XXXX.XXXXX", ".X.XXXXXX.", (1, 2, 2), (1, 2, 2)),
    ],
)
def test_hand_made(truth, prediction, at_0, at_half, deep):
    prediction, truth = row(prediction, deep), row(truth, deep)
    assert detected(prediction, truth) == at_0
    assert detected(prediction, truth, 0.5) == at_half


def test_what_shares_a_corner_is_two_lesions():
    for classes in ([[2, 0], [0, 2]], [[[2, 0], [0, 0]], [[0, 0], [0, 2]]]):
        assert detected(segmentation(classes), segmentation(classes)) == (2, 2, 2)


def test_instances_are_lesions_where_they_are_known():
    def bar(start, stop, crowd=False):
        return Instance("tumour", 1.0, np.ones((1, stop - start), bool), (0, start), crowd)

    touching = segmentation([[2] * 8], [bar(0, 4), bar(4, 8)])
    assert detected(touching, touching) == (2, 2, 2)
    assert detected(segmentation([[2] * 8]), touching) == (1, 1, 2)
    crowd = segmentation([[2] * 8], [bar(0, 2), bar(2, 8, crowd=True)])
    assert detected(row("XX.X.X.X"), crowd) == (1, 1, 1)
    assert detected(row("........"), crowd) == (0, 0, 1)


def test_what_the_truth_ignores_excuses_what_lies_mostly_there_and_is_in_no_union():
    truth = row("XXX???....")
    assert detected(row("XXXXXX...."), truth, 0.9) == (1, 1, 1)
    assert detected(row("XX..XX...."), truth, 0.5) == (1, 1, 1)
    assert detected(row("..XXXX...."), truth) == (1, 1, 1)  # it detects, and so counts
    assert detected(row("....XXX..."), truth) == (0, 0, 1)
    assert detected(row("....XXXX.."), truth) == (0, 1, 1)  # exactly half


def test_scores_and_their_pooled_values():
    cases = [
        (row("X...XX...X"), row("XX..XX....")),  # 2 detected of 3 found, 2 true
        (row(".........."), row("XX..XX....")),  # 0, 0, 2
        (row("...X......"), row("..........")),  # 0, 1, 0
        (row(".........."), row("..........")),
    ]
    expected = {
        lesion_recall: ([2 / 2, 0, None, None], 2 / 4),
        lesion_precision: ([2 / 3, None, 0, None], 2 / 4),
        lesion_f1: ([4 / 5, 0, 0, None], 4 / 8),
    }
    for metric, (each, pooled) in expected.items():
        scores = [metric(prediction, truth) for prediction, truth in cases]
        assert all(score.keys() == {"tumour"} for score in scores)
        for score, value in zip(scores, each, strict=True):
            assert math.isnan(score["tumour"]) if value is None else score["tumour"] == value
        assert pool([score["tumour"] for score in scores]) == pooled
    assert lesion_recall(*cases[0], iou=0.5)["tumour"] == 1 / 2


def scene(seed, shape):
    """Lesions of some width, found roughly."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2)
    rough = smooth + 0.6 * ndimage.gaussian_filter(rng.standard_normal(shape), 1)
    return [np.where(s > 0.12, 2, 0).astype(np.uint8) for s in (rough, smooth)]


def lits(prediction, truth, iou):
    """Lesions detected, found and true, mask by mask in the order of the published script."""
    prediction, n_prediction = ndimage.label(prediction == 2)
    truth, n_true = ndimage.label(truth == 2)
    heaps = [{t} for t in range(1, n_true + 1)]

    def shared(f, heap):
        return int(np.count_nonzero((prediction == f) & np.isin(truth, list(heap))))

    def best_of(heap):
        overlaps = [shared(f, heap) for f in range(1, n_prediction + 1)]
        top = max(overlaps, default=0)
        assume(top == 0 or overlaps.count(top) == 1)  # the script takes the first: ours merges
        return 1 + overlaps.index(top) if top else None

    for f in range(1, n_prediction + 1):
        bridged = [heap for heap in heaps if best_of(heap) == f]
        if bridged:
            heaps = [heap for heap in heaps if heap not in bridged] + [set().union(*bridged)]
    takers = {i: [] for i in range(len(heaps))}
    for f in range(1, n_prediction + 1):
        overlaps = [shared(f, heap) for heap in heaps]
        top = max(overlaps, default=0)
        if top:
            assume(overlaps.count(top) == 1)
            takers[overlaps.index(top)].append(f)
    count = 0
    for i, heap in enumerate(heaps):
        here, there = np.isin(prediction, takers[i]), np.isin(truth, list(heap))
        if (here & there).any():
            count += (here & there).sum() / (here | there).sum() > iou
    return count, n_prediction, n_true


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([(24, 30), (8, 10, 12)]))
def test_agrees_with_the_published_order_of_merging(seed, shape):
    prediction, truth = scene(seed, shape)
    for iou in (0.0, 0.3, 0.5):
        assert detected(segmentation(prediction), segmentation(truth), iou) == lits(
            prediction, truth, iou
        )


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from([(16, 18), (6, 8, 9)]), st.integers(0, 2))
def test_unchanged_by_flips_and_axis_order_whatever_ties(seed, shape, axis):
    rng = np.random.default_rng(seed)
    prediction, truth = (np.where(rng.random(shape) < 0.4, 2, 0) for _ in range(2))
    for iou in (0.0, 0.25):
        expected = detected(segmentation(prediction), segmentation(truth), iou)
        for move in (lambda s: np.flip(s, axis % s.ndim), lambda s: s.T):
            assert (
                detected(segmentation(move(prediction)), segmentation(move(truth)), iou) == expected
            )


@few
@given(st.integers(0, 2**32 - 1))
def test_without_merges_it_is_a_plain_matching(seed):
    """One found lesion at most near each true one: detected is who meets, and there is nothing to choose."""
    rng = np.random.default_rng(seed)
    truth, prediction, expected = np.zeros((4, 40, 8), int), np.zeros((4, 40, 8), int), [0, 0, 0]
    for start in range(0, 40, 8):
        true, here = rng.random(2) < 0.8
        size = int(rng.integers(2, 7))
        truth[1:3, start : start + 6, 1:7] = 2 * true
        prediction[1:3, start : start + size, 1:7] = 2 * here
        expected = np.add(expected, [true and here and size > 3, here, true])
    assert detected(segmentation(prediction), segmentation(truth), 0.5) == tuple(expected)


@few
@given(st.integers(0, 2**32 - 1))
def test_is_one_on_itself_and_never_better_at_a_higher_iou(seed):
    prediction, truth = map(segmentation, scene(seed, (20, 20)))
    for metric in (lesion_recall, lesion_precision, lesion_f1):
        score = metric(truth, truth, iou=0.99)["tumour"]
        assert score == 1 or math.isnan(score)
    counts = [detected(prediction, truth, iou)[0] for iou in (0, 0.2, 0.5, 0.8)]
    assert counts == sorted(counts, reverse=True)


def test_refuses_stuff_and_an_iou_out_of_range():
    stuff = LabelSet((Label("liver", 1), Label("spleen", 2)))
    one = segmentation([[1, 2]], labels=stuff)
    with pytest.raises(ValueError, match="liver, spleen are all stuff"):
        lesion_recall(one, one)
    for iou in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="expected a number from 0 to below 1"):
            lesion_f1(row("X"), row("X"), iou=iou)
