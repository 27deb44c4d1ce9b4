"""Average precision of objects, against pycocotools and faster-coco-eval."""

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics import pool, pool_weighted, traits_of
from delineate.metrics.mask_ap import COCO_IOUS, mask_ap

LABELS = LabelSet((Label("cell", 1, "thing"), Label("void", 9, "ignore")))
few = settings(max_examples=12, deadline=None)


def segmentation(shape, instances=(), void=None):
    classes = np.zeros(shape, np.uint8)
    if void is not None:
        classes[void] = 9
    return Segmentation(classes, LABELS, Geometry.in_pixels(shape), tuple(instances))


def box(start, stop, score=1.0, crowd=False):
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    return Instance("cell", score, np.ones(shape, bool), start, crowd)


def blob(rng, shape, size, *, score=1.0, crowd=False):
    """A ragged object anywhere."""
    size = [int(n) for n in np.minimum(rng.integers(*size, len(shape)), shape)]
    start = tuple(int(rng.integers(0, n - s + 1)) for n, s in zip(shape, size, strict=True))
    mask = rng.random(size) < 0.9
    mask.flat[0] = True
    return Instance("cell", score, mask, start, crowd)


def shaken(rng, one, shape, score):
    """The same object, moved a little and worn."""
    start = tuple(
        int(np.clip(s + rng.integers(-1, 2), 0, n - m))
        for s, n, m in zip(one.start, shape, one.mask.shape, strict=True)
    )
    mask = one.mask & (rng.random(one.mask.shape) < rng.choice([0.7, 0.97, 1]))
    mask.flat[0] = True
    return Instance("cell", score, mask, start)


def data_set(rng, shapes, *, size=(3, 12), most=9, crowds=True, ties=True):
    """(found, true) objects of each image; some have neither."""
    cases = []
    for shape in shapes:
        truth = [
            blob(rng, shape, size, crowd=crowds and rng.random() < 0.2)
            for _ in range(rng.integers(0, most) * (rng.random() < 0.8))
        ]
        scores = np.round(rng.random(3 * most), 1 if ties else 6).tolist()
        prediction = [shaken(rng, one, shape, scores.pop()) for one in truth if rng.random() < 0.8]
        prediction += [shaken(rng, one, shape, scores.pop()) for one in truth if rng.random() < 0.3]
        prediction += [
            blob(rng, shape, size, score=scores.pop()) for _ in range(rng.integers(0, 4))
        ]
        order = rng.permutation(len(prediction))
        cases.append((shape, [prediction[i] for i in order], truth))
    return cases


def ours(cases, **options):
    pairs = [(segmentation(s, f), segmentation(s, t)) for s, f, t in cases]
    return [mask_ap(prediction, truth, **options)["cell"] for prediction, truth in pairs]


def by(package, cases):
    """AP at .50:.95, .50, .75, and of small, medium and large objects, by pycocotools or what looks like it."""
    from pycocotools import mask as rle

    if package == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval

    def written(one, shape):
        whole = np.zeros(shape, np.uint8)
        whole[one.box] = one.mask
        return rle.encode(np.asfortranarray(whole))

    images, truths, prediction = [], [], []
    for i, (shape, detections, truth) in enumerate(cases, start=1):
        images.append({"id": i, "height": shape[0], "width": shape[1]})
        for one in truth:
            mask = written(one, shape)
            truths.append(
                {
                    "id": len(truths) + 1, "image_id": i, "category_id": 1, "iscrowd": int(one.crowd),
                    "area": int(one.mask.sum()), "bbox": rle.toBbox(mask).tolist(), "segmentation": mask,
                }
            )  # fmt: skip
        for one in detections:
            mask = written(one, shape)
            # without a box: with one, the area would be that of the box
            prediction.append(
                {"image_id": i, "category_id": 1, "score": one.score, "segmentation": mask}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images, "annotations": truths, "categories": [{"id": 1, "name": "cell"}]
        }  # fmt: skip
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(prediction), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return [float(score) for score in judge.stats[:6]]


OPTIONS = (
    {},
    {"iou": 0.5},
    {"iou": 0.75},
    {"area": "small"},
    {"area": "medium"},
    {"area": "large"},
)


@few
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_agrees_with_pycocotools_and_faster_coco_eval(seed, large):
    rng = np.random.default_rng(seed)
    if large:
        cases = data_set(rng, [(130, 140)] * 6, size=(20, 120), most=6, ties=False)
    else:
        cases = data_set(rng, [(24, 40), (31, 17), (24, 24)] * 4, ties=False)
    cases.append(((24, 24), [box((0, 0), (5, 5), 0.5123456)], [box((0, 0), (5, 6))]))
    expected = by("pycocotools", cases)
    assert by("faster_coco_eval", cases) == pytest.approx(expected, abs=1e-12)
    for options, score in zip(OPTIONS, expected, strict=True):
        found = pool(ours(cases, **options))
        assert (-1 if math.isnan(found) else found) == pytest.approx(score, abs=1e-9)


@few
@given(st.integers(0, 2**32 - 1))
def test_equal_scores_do_not_depend_on_the_order_of_cases_and_are_the_least_of_all(seed):
    """Scores of one decimal: with pycocotools the order of cases and of detections decides."""
    rng = np.random.default_rng(seed)
    cases = data_set(rng, [(24, 40), (31, 17)] * 3, size=(4, 12), most=6, crowds=False)
    expected = pool(ours(cases, iou=0.5))
    for _ in range(4):
        mixed = [cases[i] for i in rng.permutation(len(cases))]
        mixed = [(s, [f[i] for i in rng.permutation(len(f))], t) for s, f, t in mixed]
        assert pool(ours(mixed, iou=0.5)) == pytest.approx(expected, abs=1e-12, nan_ok=True)
        theirs = by("pycocotools", mixed)[1]
        assert math.isnan(expected) or expected <= theirs + 1e-9


def test_detections_without_a_score_are_one_threshold():
    """Two of three are right, two of four objects are found: precision 2/3 up to a recall of 1/2."""
    truth = [box((r, 0), (r + 3, 6)) for r in (0, 4, 8, 12)]
    prediction = [box((0, 0), (3, 6)), box((4, 0), (7, 6)), box((16, 0), (19, 6))]
    for order in ([0, 1, 2], [2, 1, 0]):
        cases = [((20, 8), [prediction[i] for i in order], truth)]
        assert pool(ours(cases, iou=0.5)) == pytest.approx(2 / 3 * 51 / 101)


def test_judges_the_hundred_surest_of_an_image_as_they_do():
    rng = np.random.default_rng(0)
    shape = (60, 60)
    truth = [box((r, c), (r + 3, c + 3)) for r in range(0, 60, 4) for c in range(0, 60, 4)]
    prediction = [box(one.start, tuple(s + 3 for s in one.start), rng.random()) for one in truth]
    assert len(prediction) == 225
    cases = [(shape, prediction, truth)]
    assert pool(ours(cases)) == pytest.approx(by("pycocotools", cases)[0], abs=1e-9)
    assert pool(ours(cases)) == pytest.approx(45 / 101)  # 100 of 225: recalls 0, 0.01, ..., 0.44


def test_of_two_equal_objects_a_detection_takes_the_last_as_theirs_do():
    truth = [box((0, 0), (5, 8)), box((0, 2), (5, 10))]
    cases = [((9, 12), [box((0, 1), (5, 9), 0.9), box((0, 2), (5, 10), 0.8)], truth)]
    assert pool(ours(cases, iou=0.75)) == pytest.approx(by("pycocotools", cases)[2])
    assert pool(ours(cases, iou=0.75)) == pytest.approx(51 / 101)


def test_hand_made():
    shape = (10, 30)
    truth = [box((0, 0), (10, 10)), box((0, 20), (10, 30))]
    prediction = [
        box((0, 0), (10, 8), 0.9),  # IoU 0.8
        box((0, 10), (10, 20), 0.8),  # none
        box((0, 20), (10, 30), 0.7),  # 1
    ]
    (score,) = ours([(shape, prediction, truth)], iou=0.5)
    assert score == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    (score,) = ours([(shape, prediction, truth)], iou=0.85)
    assert score == pytest.approx(51 / 3 / 101)
    (mean,) = ours([(shape, prediction, truth)])
    each = [ours([(shape, prediction, truth)], iou=float(t))[0] for t in COCO_IOUS]
    assert mean == pytest.approx(np.mean(each))


def test_an_image_without_truth_has_no_score_and_yet_counts():
    shape, thing = (10, 10), box((0, 0), (5, 5), 0.5)
    none, empty = ours([(shape, [box((0, 0), (5, 5), 0.9)], []), (shape, [], [])])
    (right,) = ours([(shape, [thing], [thing])])
    (missed,) = ours([(shape, [], [thing])])
    assert math.isnan(none)
    assert math.isnan(empty)
    assert (right, missed) == (1, 0)
    assert pool([right, none]) == pytest.approx(1 / 2)
    assert pool([right, empty]) == 1
    assert pool([right, missed]) == pytest.approx(51 / 101)


def test_in_three_dimensions_it_is_that_of_a_plane_made_thick():
    rng = np.random.default_rng(3)
    for void in (False, True):
        cases = data_set(rng, [(20, 30)] * 4)

        def judge(thick, cases=cases, void=void):
            def deep(one):
                mask = np.repeat(one.mask[None], 3, axis=0) if thick else one.mask
                return Instance(
                    "cell", one.score, mask, ((1,) if thick else ()) + one.start, one.crowd
                )

            scores = []
            for shape, prediction, truth in cases:
                full = (5, *shape) if thick else shape
                ignored = np.s_[..., :8, :10] if void else None
                pair = [segmentation(full, map(deep, s), ignored) for s in (prediction, truth)]
                scores.append(mask_ap(*pair)["cell"])
            return pool(scores)

        assert judge(True) == pytest.approx(judge(False), abs=1e-12)


def test_what_the_truth_ignores_is_a_crowd_and_in_no_union():
    shape, thing = (10, 20), box((0, 0), (10, 5))
    truth = segmentation(shape, [thing], np.s_[:, 5:])
    wide = box((0, 0), (10, 10), 0.5)  # twice the thing, but half of it is not judged
    beyond = box((0, 4), (10, 14), 0.9)  # nine parts of ten lie in what is ignored
    for prediction, expected in ([wide], 1), ([beyond, wide], 1), ([beyond], 0):
        assert mask_ap(segmentation(shape, prediction), truth, iou=0.9)["cell"] == expected
    hidden = segmentation(shape, [thing, box((2, 8), (4, 10))], np.s_[:, 5:])
    assert mask_ap(segmentation(shape, [wide]), hidden, iou=0.9)["cell"] == 1
    plain = segmentation(shape, [thing])
    assert mask_ap(segmentation(shape, [beyond, wide]), plain, iou=0.5)["cell"] == 0.5
    assert mask_ap(segmentation(shape, [wide]), plain, iou=0.9)["cell"] == 0


def test_objects_of_a_label_map_are_ranked_by_probability():
    classes = np.array([[1, 1, 0, 1, 1, 0, 1, 1]], np.uint8)
    truth = np.array([[1, 1, 0, 0, 0, 0, 1, 1]], np.uint8)
    geometry = Geometry.in_pixels(classes.shape)
    sure = np.array([[0.9, 0.9, 0, 0.6, 0.6, 0, 0.8, 0.8]], np.float32)

    def judge(sure):
        prediction = Segmentation(
            classes, LABELS, geometry, probabilities=np.stack([1 - sure, sure])
        )
        return mask_ap(prediction, Segmentation(truth, LABELS, geometry))["cell"]

    assert judge(sure) == 1
    assert judge(1 - sure) < 0.8


def test_a_resample_is_what_its_cases_give_together():
    rng = np.random.default_rng(5)
    cases = data_set(rng, [(24, 24)] * 8, ties=False)
    tallies = ours(cases)
    weights = rng.multinomial(8, np.full(8, 1 / 8), size=7).astype(float)
    weights[0] = 0
    expected = [
        pool([tally for tally, times in zip(tallies, row, strict=True) for _ in range(int(times))])
        for row in weights
    ]
    assert pool_weighted(tallies, weights) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_many_resamples_are_read_in_bounded_memory(monkeypatch):
    rng = np.random.default_rng(6)
    tallies = ours(data_set(rng, [(24, 24)] * 5))
    weights = rng.multinomial(5, np.full(5, 1 / 5), size=20).astype(float)
    at_once = pool_weighted(tallies, weights)
    monkeypatch.setattr("delineate.metrics.mask_ap.AT_ONCE", 1)
    assert pool_weighted(tallies, weights) == pytest.approx(at_once, abs=1e-12, nan_ok=True)


def test_unchanged_by_flips_and_one_on_itself():
    rng = np.random.default_rng(7)
    cases = data_set(rng, [(24, 24), (5, 9, 7)] * 3, size=(2, 6))

    for shape, prediction, truth in cases:

        def moved(objects, shape=shape):
            start = [(shape[0] - o.start[0] - o.mask.shape[0], *o.start[1:]) for o in objects]
            return [
                Instance("cell", o.score, o.mask[::-1], s, o.crowd)
                for o, s in zip(objects, start, strict=True)
            ]

        (score,) = ours([(shape, prediction, truth)])
        (turned,) = ours([(shape, moved(prediction), moved(truth))])
        assert turned == pytest.approx(score, nan_ok=True)
        (itself,) = ours([(shape, prediction, prediction)])
        assert itself == 1 or math.isnan(itself)


def test_is_read_pooled_and_refuses_an_iou_that_is_none():
    assert traits_of(mask_ap).pooled_only
    one = segmentation((3, 3))
    for iou in (0, 1.5, math.nan):
        with pytest.raises(ValueError, match="expected a number above 0"):
            mask_ap(one, one, iou=iou)
    with pytest.raises(ValueError, match="area is 'tiny'; expected one of all, small"):
        mask_ap(one, one, area="tiny")
