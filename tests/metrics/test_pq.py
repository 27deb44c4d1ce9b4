"""PQ, SQ and RQ."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics import pool
from delineate.metrics._panoptic import panoptic
from delineate.metrics.pq import pq
from delineate.metrics.rq import rq
from delineate.metrics.sq import sq

LABELS = LabelSet(
    (
        Label("cell", 1, "thing"),
        Label("fat", 2),
        Label("nerve", 3, "thing"),
        Label("void", 9, "ignore"),
    )
)
few = settings(max_examples=25, deadline=None)


def _pairwise_pq():
    """The loop over pairs that the benchmark times: written from panopticapi's rules, apart from ours."""
    path = Path(__file__).parents[2] / "benchmarks" / "panoptic_quality.py"
    spec = importlib.util.spec_from_file_location("panoptic_quality", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pairwise_pq


pairwise_pq = _pairwise_pq()


def segmentation(classes, instances=()):
    classes = np.asarray(classes, np.uint8)
    return Segmentation(classes, LABELS, Geometry.in_pixels(classes.shape), tuple(instances))


def things(shape, boxes, label="cell", crowd=()):
    """Things in boxes, with the label map they make."""
    classes, instances = np.zeros(shape, np.uint8), []
    for i, box in enumerate(boxes):
        classes[box] = LABELS[label].value
        mask = np.ones(classes[box].shape, bool)
        instances.append(Instance(label, 1.0, mask, tuple(s.start for s in box), i in crowd))
    return classes, instances


@st.composite
def scenes(draw):
    """A found and a true segmentation whose objects are given, with what the truth ignores and one crowd a label."""
    shape = draw(st.sampled_from([(12, 15), (5, 6, 7)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    common = rng.integers(0, 4, shape)  # so that some objects match well

    def side(changed, crowds):
        numbers = common.copy()
        touched = rng.random(shape) < changed
        numbers[touched] = rng.integers(0, 6, touched.sum())
        labels = {number: str(rng.choice(["cell", "nerve"])) for number in (2, 3, 4, 5)}
        if rng.random() < 0.7:
            labels |= {2: "cell", 3: "nerve"}
        classes = np.where(numbers == 1, 2, 0).astype(np.uint8)
        instances = []
        for number, label in labels.items():
            mask = numbers == number
            classes[mask] = LABELS[label].value
            crowd = crowds and number in (4, 5) and rng.random() < 0.6
            instances.append(Instance(label, 1.0, mask, (0,) * len(shape), crowd))
        return numbers, {1: "fat", **labels}, segmentation(classes, instances)

    prediction, truth = side(draw(st.sampled_from([0.1, 0.5])), False), side(0.1, True)
    numbers, labels, true = truth
    void = rng.random(shape) < draw(st.sampled_from([0, 0.2, 0.6]))
    void[: int(rng.integers(0, 4))] = True
    numbers[void] = 7
    classes = np.where(void, 9, true.classes)
    return prediction, (numbers, labels, segmentation(classes, true.instances))


@few
@given(scenes())
def test_agrees_with_the_loop_over_pairs(scene):
    (prediction_numbers, prediction_labels, prediction), (numbers, labels, truth) = scene
    crowds = [2 + i for i, one in enumerate(truth.instances) if one.crowd]
    expected = pairwise_pq(
        prediction_numbers, numbers, prediction_labels, labels, void=7, crowds=crowds
    )
    n = panoptic(prediction, truth)
    for name, *stats in zip(n.names, n.iou, n.tp, n.fp, n.fn, strict=True):
        assert stats == pytest.approx(expected.get(name, (0, 0, 0, 0)))


@few
@given(scenes())
def test_pq_is_sq_times_rq_and_all_are_one_on_itself(scene):
    prediction, truth = scene[0][2], scene[1][2]
    for label, score in pq(prediction, truth).items():
        product = sq(prediction, truth)[label] * rq(prediction, truth)[label]
        assert score == pytest.approx(product, nan_ok=True)
    for metric in (pq, sq, rq):
        for score in metric(prediction, prediction).values():
            assert score == 1 or math.isnan(score)


@few
@given(scenes(), st.integers(0, 2))
def test_unchanged_by_flips_and_the_order_of_objects_and_symmetric_without_void(scene, axis):
    prediction, truth = scene[0][2], scene[1][2]

    def flipped(s):
        axis_ = axis % s.classes.ndim
        instances = [
            Instance(one.label, one.score, np.flip(one.mask, axis_), one.start, one.crowd)
            for one in reversed(s.instances)
        ]
        return segmentation(np.flip(s.classes, axis_), instances)

    for metric in (pq, sq, rq):
        expected = metric(prediction, truth)
        assert metric(flipped(prediction), flipped(truth)) == pytest.approx(expected, nan_ok=True)
        plain = [segmentation(np.where(s.classes == 9, 0, s.classes)) for s in (prediction, truth)]
        assert metric(*plain) == pytest.approx(metric(*plain[::-1]), nan_ok=True)


# The table of cases in which libraries differ, 20 x 20.
UPPER, LOWER = np.s_[2:8, 2:8], np.s_[12:18, 2:8]


def torchmetrics_pq(prediction, truth):
    """PQ of cells by torchmetrics, for which 0 is void on either side."""
    import torch
    from torchmetrics.detection import PanopticQuality

    def pair(classes, numbers):
        return torch.from_numpy(np.stack([classes, numbers], -1).astype(np.int64))[None]

    metric = PanopticQuality(
        things={1}, stuffs={2}, allow_unknown_preds_category=True, return_per_class=True
    )
    return float(metric(pair(*prediction), pair(*truth))[0, 0])


def numbered(boxes, on=2):
    """Categories and numbers of cells in boxes, on stuff."""
    classes, numbers = np.full((20, 20), on), np.zeros((20, 20), int)
    for number, box in enumerate(boxes, start=1):
        classes[box], numbers[box] = 1, number
    return classes, numbers


def cells(boxes, on=2, crowd=()):
    classes, instances = things((20, 20), boxes, crowd=crowd)
    return segmentation(np.where(classes == 1, 1, on), instances)


def test_a_missed_thing_counts_even_where_nothing_at_all_is_found():
    """Case A. torchmetrics excuses what the finding leaves void, so that silence is never wrong."""
    truth = cells([UPPER, LOWER])
    prediction = segmentation(
        np.where(cells([LOWER]).classes == 1, 0, cells([UPPER]).classes), cells([UPPER]).instances
    )
    assert pq(prediction, truth)["cell"] == pytest.approx(2 / 3)
    theirs = numbered([UPPER])
    theirs[0][LOWER] = 0
    assert torchmetrics_pq(theirs, numbered([UPPER, LOWER])) == 1


def test_half_a_thing_left_void_is_half_a_thing():
    """Case D: the union is whole, whatever the finding leaves out; torchmetrics takes it out of the union."""
    half = np.s_[2:5, 2:8]
    truth = cells([UPPER, LOWER])
    prediction = cells([half])
    assert pq(prediction, truth)["cell"] == 0
    theirs = numbered([half])
    theirs[0][5:8, 2:8] = theirs[0][LOWER] = 0
    assert torchmetrics_pq(theirs, numbered([UPPER, LOWER])) == 1


def test_what_the_truth_ignores_is_in_no_union_and_excuses_what_lies_mostly_there():
    """Cases B and C, in which torchmetrics agrees."""
    truth, true_pair = cells([UPPER]).classes, numbered([UPPER])
    truth[2:8, 8:14] = 9
    true_pair[0][2:8, 8:14] = 0
    truth = segmentation(truth, cells([UPPER]).instances)
    beyond = np.s_[2:8, 2:14]
    assert pq(cells([beyond]), truth)["cell"] == torchmetrics_pq(numbered([beyond]), true_pair) == 1
    for box, expected in (
        (np.s_[2:8, 9:15], 1),
        (np.s_[2:8, 11:17], 2 / 3),
        (np.s_[2:8, 12:18], 2 / 3),
    ):
        prediction = [UPPER, box]
        assert pq(cells(prediction), truth)["cell"] == pytest.approx(expected)
        assert torchmetrics_pq(numbered(prediction), true_pair) == pytest.approx(expected)


def test_an_iou_of_one_half_is_no_match():
    """Case F."""
    prediction, truth = np.s_[2:8, 2:8], np.s_[2:8, 2:5]
    assert pq(cells([prediction]), cells([truth]))["cell"] == 0
    assert torchmetrics_pq(numbered([prediction]), numbered([truth])) == 0
    prediction = np.s_[2:8, 2:7]
    assert pq(cells([prediction]), cells([truth]))["cell"] == pytest.approx(0.6)


def test_a_label_on_neither_side_is_not_scored_and_one_on_one_side_is_zero():
    nothing, cell = cells([]), cells([UPPER])
    for metric in (pq, sq, rq):
        assert math.isnan(metric(nothing, nothing)["cell"])
        assert metric(nothing, cell)["cell"] == metric(cell, nothing)["cell"] == 0


def test_a_crowd_is_neither_missed_nor_a_reason_for_a_false_segment():
    truth = cells([UPPER, LOWER], crowd={1})
    assert pq(cells([UPPER]), truth)["cell"] == 1
    inside = [np.s_[12:15, 2:5], np.s_[15:18, 5:8]]
    assert pq(cells([UPPER, *inside]), truth)["cell"] == 1
    assert pq(cells([UPPER, LOWER]), truth)["cell"] == 1  # it is not matched, not even with itself
    half_out = np.s_[12:18, 5:11]
    assert pq(cells([UPPER, half_out]), truth)["cell"] == pytest.approx(2 / 3)
    _, nerves = things((20, 20), [LOWER], "nerve", crowd={0})
    truth = segmentation(cells([UPPER]).classes, cells([UPPER]).instances + tuple(nerves))
    assert pq(cells([UPPER, *inside]), truth)["cell"] == 1 / 2  # a crowd of another label


def test_pooled_is_the_sum_over_images_not_the_mean():
    right, missed = cells([UPPER]), cells([])
    cases = [(right, right), (missed, cells([UPPER, LOWER])), (missed, missed)]
    for metric, expected in ((pq, 1 / 2), (sq, 1), (rq, 1 / 2)):
        scores = [metric(*case)["cell"] for case in cases]
        assert scores[:2] == [1, 0]
        assert pool(scores) == pytest.approx(expected)


def test_stuff_is_one_segment_however_it_falls_apart():
    truth = segmentation([[2, 2, 0, 2, 0, 0]])
    assert pq(segmentation([[2, 2, 0, 0, 0, 0]]), truth)["fat"] == pytest.approx(2 / 3)
    truth = segmentation([[1, 1, 0, 1, 0, 0]])
    assert pq(segmentation([[1, 1, 0, 0, 0, 0]]), truth)["cell"] == pytest.approx(2 / 3)
    assert rq(segmentation([[1, 1, 0, 0, 0, 0]]), truth)["cell"] == pytest.approx(2 / 3)


def test_more_segments_than_two_bytes_can_pair():
    classes = np.zeros((120, 120), np.uint8)
    classes[::2, ::2] = 1  # 3600 cells
    found = classes.copy()
    found[::4, ::4] = 0
    n = panoptic(segmentation(found), segmentation(classes))
    assert (n.tp[0], n.fp[0], n.fn[0], n.iou[0]) == (2700, 0, 900, 2700)


def test_refuses_another_grid_or_other_labels():
    with pytest.raises(ValueError, match="different grids"):
        pq(segmentation([[1]]), segmentation([[1, 1]]))
