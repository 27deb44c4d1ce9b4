"""What holds for every metric, whatever file it is in."""

import inspect
import math
import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Label, LabelSet, Segmentation
from delineate.metrics import (
    Tally,
    Traits,
    counts,
    empty_rule,
    forget,
    load_metrics,
    pool,
    traits_of,
)
from delineate.resolve import OWN, Call, RecipeError, names, resolve

LIVER, TUMOUR = Label("liver", 1), Label("tumour", 2, "thing")
LABELS = LabelSet((LIVER, TUMOUR, Label("unsure", 9, "ignore")))
THINGS = LabelSet((replace(LIVER, kind="thing"), TUMOUR, Label("unsure", 9, "ignore")))
OTHER = LabelSet((Label("tumour", 40, "thing"), Label("liver", 7), Label("unsure", 200, "ignore")))
AS_OTHER = np.zeros(256, np.uint8)
AS_OTHER[[1, 2, 9]] = 7, 40, 200

COARSE = 0.01
"""How far a score may be from that of its kept parts: curves keep coarser bins for pooling than they are read from."""

BY_SAMPLE = (
    "assd", "auroc", "average_precision", "balanced_accuracy", "brier", "cldice", "dice", "dice_at", "dice_empty1",
    "dice_soft", "dice_sweep_mean", "ece", "ece_top", "f_beta", "hausdorff", "hd95", "hd95_pooled", "hd95_surfel",
    "iou", "nsd", "nsd_voxel", "pixel_accuracy", "precision", "recall", "specificity", "volume_error",
)  # fmt: skip
"""Metrics that judge samples, not objects: a found object that reaches where the truth ignores is cut, not excused."""

MOVES = {
    "flip": lambda a: np.flip(a, -1),
    "flip the first axis": lambda a: np.flip(a, 1),
    "flip all axes": lambda a: np.flip(a, tuple(range(1, a.ndim))),
    "turn the axes": lambda a: np.moveaxis(a, 1, -1),
    "swap the last axes": lambda a: np.swapaxes(a, -1, -2),
}
"""Of arrays (channel, *spatial)."""

LAYOUTS = {
    "first axis quickest": lambda a: np.moveaxis(np.asfortranarray(np.moveaxis(a, 0, -1)), -1, 0),
    "channels quickest": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0),
    "backwards": lambda a: a[..., ::-1].copy()[..., ::-1],
    "every second sample": lambda a: a.repeat(2, axis=-1)[..., ::2],
}
"""The same values, lying otherwise in memory."""

every = every_metric = pytest.mark.parametrize("name", names("metrics"))
few = settings(max_examples=8, deadline=None)


def frozen(array):
    array = np.array(array)  # lies as it lay
    array.setflags(write=False)
    return array


def truth_of(classes, labels=LABELS):
    return Segmentation(frozen(classes), labels, Geometry.in_pixels(classes.shape))


def prediction_of(classes, probabilities, labels=LABELS):
    return Segmentation(
        frozen(classes),
        labels,
        Geometry.in_pixels(classes.shape),
        scores=stated(probabilities, labels),
        probabilities=frozen(probabilities),
    )


def stated(probabilities, labels=LABELS):
    """What a network may say of the image as a whole."""
    return {f"expected dice of {name}": 0.5 for name in labels.names} | {
        f"presence of {name}": float(probabilities[1 + i].max())
        for i, name in enumerate(labels.names)
    }


def one_hot(classes):
    return np.stack([~np.isin(classes, (1, 2)), classes == 1, classes == 2]).astype(np.float32)


@st.composite
def cases(draw, ignore=False):
    """Label maps found and true, and probabilities; blobs, or each sample on its own."""
    shape = draw(st.sampled_from([(1, 1), (7, 5), (12, 9), (5, 6, 7)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 3]))
    values = (0, 1, 2, 9) if ignore else (0, 1, 2)
    weights = rng.dirichlet(np.full(len(values), 0.5))
    prediction, truth = (
        np.kron(rng.choice(values, size=shape, p=weights), np.ones((size,) * len(shape)))[
            tuple(slice(n) for n in shape)
        ].astype(np.uint8)
        for _ in range(2)
    )
    noise = rng.dirichlet((0.3, 0.3, 0.3), size=shape).astype(np.float32)
    return prediction, truth, 0.5 * one_hot(prediction) + 0.5 * np.moveaxis(noise, -1, 0)


def same(a, b):
    return a.keys() == b.keys() and all(
        a[k] == pytest.approx(b[k], rel=1e-5, abs=1e-6, nan_ok=True) for k in a
    )


@every_metric
def test_takes_found_before_truth_and_says_what_it_is(name):
    metric = resolve("metrics", name)
    prediction, truth, *options = inspect.signature(metric).parameters.values()
    assert (prediction.name, truth.name) == ("prediction", "truth")
    assert all(o.kind is o.KEYWORD_ONLY and o.default is not o.empty for o in options)
    assert inspect.getdoc(metric)


@every_metric
@few
@given(case=cases(ignore=True))
def test_stays_in_its_range_and_pools(name, case):
    metric = resolve("metrics", name)
    low, high = traits_of(metric).range or (-math.inf, math.inf)
    prediction, truth, probabilities = case
    scores = metric(prediction_of(prediction, probabilities), truth_of(truth))
    assert set(scores) <= {*LABELS.names, "all"}
    for score in scores.values():
        assert math.isnan(score) or low - 1e-9 <= score <= high + 1e-9
        if isinstance(score, Tally):
            again = pickle.loads(pickle.dumps(score))
            assert float(again) == pytest.approx(float(score), nan_ok=True)
            alone = pool([score])
            assert math.isnan(alone) == math.isnan(score)
            assert alone == pytest.approx(float(score), abs=COARSE, nan_ok=True)
            assert pool([again, score]) == pytest.approx(alone, abs=1e-6, nan_ok=True)


@every_metric
@few
@given(case=cases(ignore=True))
def test_is_best_on_itself_where_there_is_something(name, case):
    metric = resolve("metrics", name)
    known = traits_of(metric)
    if known.expects or not known.one_on_itself or known.family == "image-level":
        return  # of one image most image-level scores do not exist
    truth = case[1]
    for label, score in metric(prediction_of(truth, one_hot(truth)), truth_of(truth)).items():
        judged = truth[truth != 9]
        there = judged if label == "all" else judged == LABELS[label].value
        if math.isnan(score):  # nothing there, or nothing else
            assert not there.any() or (label != "all" and there.all())
        else:
            assert score == pytest.approx(known.best, abs=1e-6)


@every_metric
@few
@given(case=cases(ignore=True), move=st.sampled_from(sorted(MOVES)))
def test_is_unchanged_by_flips_and_the_order_of_axes(name, case, move):
    metric, turned = resolve("metrics", name), MOVES[move]
    prediction, truth, probabilities = case
    moved = prediction_of(turned(prediction[None])[0], turned(probabilities))
    assert same(
        metric(moved, truth_of(turned(truth[None])[0])),
        metric(prediction_of(prediction, probabilities), truth_of(truth)),
    )


@every_metric
@few
@given(
    case=cases(ignore=True),
    of_prediction=st.sampled_from(sorted(LAYOUTS)),
    of_truth=st.sampled_from(sorted(LAYOUTS)),
)
def test_is_unchanged_by_the_order_of_memory(name, case, of_prediction, of_truth):
    metric = resolve("metrics", name)
    prediction, truth, probabilities = case
    grid = Geometry.in_pixels(prediction.shape)
    scores = stated(probabilities)
    there, here = LAYOUTS[of_truth](truth[None])[0], LAYOUTS[of_prediction]
    moved = Segmentation(
        here(prediction[None])[0], LABELS, grid, scores=scores, probabilities=here(probabilities)
    )
    assert same(
        metric(moved, Segmentation(there, LABELS, grid)),
        metric(prediction_of(prediction, probabilities), truth_of(truth)),
    )


@every_metric
@few
@given(case=cases(ignore=True), axis=st.integers(0, 2))
def test_a_volume_of_one_slice_is_the_picture_that_it_holds(name, case, axis):
    metric = resolve("metrics", name)
    prediction, truth, probabilities = case
    if prediction.ndim == 3:
        prediction, truth, probabilities = prediction[0], truth[0], probabilities[:, 0]

    def scores(prediction, truth, probabilities, spacing):
        grid = Geometry(prediction.shape, spacing, "mm")
        said = stated(probabilities)
        return metric(
            Segmentation(prediction, LABELS, grid, scores=said, probabilities=probabilities),
            Segmentation(truth, LABELS, grid),
        )

    picture = scores(prediction, truth, probabilities, (0.5, 2.0))
    spacing = [0.5, 2.0]
    spacing.insert(axis, 7.0)
    slices = (np.expand_dims(of, axis) for of in (prediction, truth))
    volume = scores(*slices, np.expand_dims(probabilities, axis + 1), tuple(spacing))
    assert same(volume, picture)


@pytest.mark.parametrize("layout", ["as it is", "first axis quickest"])
@pytest.mark.parametrize(
    "name", [n for n in names("metrics") if "probabilities" in traits_of(resolve("metrics", n)).needs]
)  # fmt: skip
def test_metrics_of_probabilities_need_little_beside_them(name, layout):
    """A distance transform of the whole grid takes 50 bytes a sample, a copy of one label's probability 4."""
    truth = np.full((96, 128, 128), 1, np.uint8)
    truth[:, :, 5] = 0
    turned = LAYOUTS.get(layout, np.array)
    grid = Geometry.in_pixels(truth.shape)
    prediction = Segmentation(
        turned(truth[None])[0], LABELS, grid, probabilities=turned(0.8 * one_hot(truth) + 0.1)
    )
    tracemalloc.start()
    resolve("metrics", name)(prediction, Segmentation(turned(truth[None])[0], LABELS, grid))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    forget()
    assert peak < 3 * truth.size + 60 * 2**20


@every_metric
@few
@given(several=st.lists(cases(ignore=True), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_the_pooled_score_is_unchanged_by_the_order_of_cases(name, several, seed):
    metric = resolve("metrics", name)
    scores = [
        metric(prediction_of(prediction, p), truth_of(truth)) for prediction, truth, p in several
    ]
    order = np.random.default_rng(seed).permutation(len(several))
    for label in scores[0]:
        known = [of[label] for of in scores]
        if all(isinstance(score, Tally) for score in known):
            expected = pytest.approx(pool(known), rel=1e-9, abs=1e-12, nan_ok=True)
            assert pool([known[i] for i in order]) == expected


@every_metric
@few
@given(case=cases(ignore=True))
def test_labels_are_matched_by_name(name, case):
    metric = resolve("metrics", name)
    prediction, truth, probabilities = case
    expected = metric(prediction_of(prediction, probabilities), truth_of(truth))
    other = prediction_of(AS_OTHER[prediction], probabilities[[0, 2, 1]], OTHER)
    assert same(metric(other, truth_of(truth)), expected)
    assert same(metric(other, truth_of(AS_OTHER[truth], OTHER)), expected)


@every_metric
@few
@given(case=cases(), value=st.integers(0, 2), other=st.integers(0, 2))
def test_what_is_found_deep_inside_what_the_truth_ignores_changes_nothing(name, case, value, other):
    """The truth ignores the first columns; nothing is found at their border, so that no object reaches across it.

    All labels are things: of stuff there is one segment, here and there, which panoptic quality leaves out where most
    of it is ignored.
    """
    metric = resolve("metrics", name)
    prediction, truth, _ = (np.repeat(part, 2, axis=-1) for part in case)
    deep, ignored = 3 * prediction.shape[-1] // 8, prediction.shape[-1] // 2 + 1
    truth[..., :ignored] = 9
    prediction[..., deep : ignored + 1] = 0
    prediction[..., :deep] = value
    again = prediction.copy()
    again[..., :deep] = other
    before = prediction_of(prediction, one_hot(prediction), THINGS)
    after = replace(prediction_of(again, one_hot(again), THINGS), scores=before.scores)
    assert same(metric(after, truth_of(truth, THINGS)), metric(before, truth_of(truth, THINGS)))


@pytest.mark.parametrize("name", BY_SAMPLE)
@few
@given(case=cases(ignore=True), value=st.integers(0, 2))
def test_what_is_found_where_the_truth_ignores_changes_nothing(name, case, value):
    metric = resolve("metrics", name)
    if traits_of(metric).expects:
        return
    prediction, truth, probabilities = case
    ignored = truth == 9
    changed = np.where(ignored, np.uint8(value), prediction)
    surer = np.where(ignored, one_hot(changed), probabilities)
    assert same(
        metric(prediction_of(changed, surer), truth_of(truth)),
        metric(prediction_of(prediction, probabilities), truth_of(truth)),
    )


@every_metric
def test_a_label_on_neither_side_is_nan_or_best(name):
    metric = resolve("metrics", name)
    known = traits_of(metric)
    truth = np.zeros((6, 6), np.uint8)
    truth[2:4, 1:5] = 1
    if known.expects:
        return
    scores = metric(prediction_of(truth, one_hot(truth)), truth_of(truth))
    score = scores.get("tumour", math.nan)
    assert math.isnan(score) or score == known.best
    nothing = np.zeros_like(truth)
    for score in metric(prediction_of(nothing, one_hot(nothing)), truth_of(nothing)).values():
        assert math.isnan(score) or score == known.best


@few
@given(cases())
def test_dice_and_iou_are_symmetric_and_precision_is_recall_turned_round(case):
    a, b = truth_of(case[0]), truth_of(case[1])
    metric = load_metrics([Call(n) for n in ("dice", "iou", "precision", "recall")])
    assert same(metric["dice"](a, b), metric["dice"](b, a))
    assert same(metric["iou"](a, b), metric["iou"](b, a))
    assert same(metric["precision"](a, b), metric["recall"](b, a))
    dice, iou = metric["dice"](a, b), metric["iou"](a, b)
    assert same(iou, {label: d / (2 - d) for label, d in dice.items()})


@few
@given(cases(ignore=True))
def test_overlap_agrees_with_sets_of_places(case):
    prediction, truth = truth_of(case[0]), truth_of(case[1])
    judged = {place for place, value in np.ndenumerate(truth.classes) if value != 9}

    def places(s, value):
        return {place for place in judged if s.classes[place] == value}

    def over(part, whole):
        return part / whole if whole else math.nan

    for label in (LIVER, TUMOUR):
        f, t = places(prediction, label.value), places(truth, label.value)
        expected = {
            "dice": over(2 * len(f & t), len(f) + len(t)),
            "iou": over(len(f & t), len(f | t)),
            "precision": over(len(f & t), len(f)),
            "recall": over(len(f & t), len(t)),
            "specificity": over(len(judged - f - t), len(judged - t)),
            "f_beta": over(5 * len(f & t), 5 * len(f & t) + 4 * len(t - f) + len(f - t)),
            "volume_error": over(len(f) - len(t), len(t)),
        }
        for name, value in expected.items():
            score = resolve("metrics", name)(prediction, truth)[label.name]
            assert score == pytest.approx(value, nan_ok=True)


def test_hand_drawn():
    truth = truth_of(np.array([[0, 1, 1, 1], [0, 1, 1, 1]], np.uint8))
    prediction = truth_of(np.array([[1, 1, 1, 0], [1, 1, 1, 0]], np.uint8))
    expected = {
        "dice": 8 / 12, "iou": 4 / 8, "precision": 4 / 6, "recall": 4 / 6, "specificity": 0,
        "f_beta": 4 / 6, "volume_error": 0,
    }  # fmt: skip
    for name, value in expected.items():
        assert resolve("metrics", name)(prediction, truth)["liver"] == pytest.approx(value)
    assert resolve("metrics", "pixel_accuracy")(prediction, truth) == {"all": pytest.approx(4 / 8)}
    assert resolve("metrics", "balanced_accuracy")(prediction, truth) == {
        "all": pytest.approx(2 / 6)
    }


POLYP = LabelSet((Label("polyp", 1, "thing"),))


@st.composite
def boxes(draw):
    """A mask (8, 9) that is neither empty nor full."""
    mask = np.zeros((8, 9), np.uint8)
    y, x = draw(st.integers(0, 6)), draw(st.integers(0, 7))
    mask[y : y + draw(st.integers(1, 4)), x : x + draw(st.integers(1, 4))] = 1
    return mask


@every_metric
@pytest.mark.parametrize("empty", ["truth", "prediction", "both"])
@few
@given(mask=boxes())
def test_every_metric_says_what_it_gives_for_empty_masks_and_gives_it(name, empty, mask):
    metric = resolve("metrics", name)
    rule = traits_of(metric).empty
    assert rule is not None, f"{name} does not say what it gives for empty masks"
    grid = Geometry(mask.shape, (2.0, 0.5), "mm")
    there, predicted = (mask * (empty not in (side, "both")) for side in ("truth", "prediction"))
    chance = 0.1 + 0.8 * predicted
    prediction = Segmentation(
        frozen(predicted),
        POLYP,
        grid,
        scores={"expected dice of polyp": 0.5, "presence of polyp": 0.5},
        probabilities=frozen(np.stack([1 - chance, chance]).astype(np.float32)),
    )
    (score,) = metric(prediction, Segmentation(frozen(there), POLYP, grid)).values()
    expected = getattr(rule, empty)
    if expected is None:
        assert math.isnan(score)
    elif expected == "scored":
        assert not math.isnan(score)
    else:
        diagonal = math.hypot(8 * 2.0, 9 * 0.5)
        assert score == pytest.approx(diagonal if expected == "diagonal" else expected)


@every_metric
def test_false_positives_are_left_out_of_a_mean_only_where_nothing_is_defined(name):
    """Of a metric that says nothing where there is nothing to find, also nothing is said of a finding that is right."""
    rule = traits_of(resolve("metrics", name)).empty
    assert rule.truth is not None or rule.both is None
    assert rule.truth != traits_of(resolve("metrics", name)).best


BAD = {
    "blind": "    return dict.fromkeys(truth.labels.names, 1.0)\n",
    "turned_round": "    return {n: 1 - s for n, s in dice(prediction, truth).items()}\n",
    "percent": "    return {n: 100 * s for n, s in dice(prediction, truth).items()}\n",
    "by_value": "    a, b = prediction.classes == 1, truth.classes == 1\n"
                "    return {'liver': 2 * (a & b).sum() / max(1, a.sum() + b.sum())}\n",
    "careless": "    return {n: float((prediction.mask(n) == truth.mask(n)).mean()) for n in truth.labels.names}\n",
    "from_the_left": "    return {n: float(prediction.mask(n)[..., 0].sum() == truth.mask(n)[..., 0].sum()) for n in "
                     "truth.labels.names}\n",
    "elsewhere": "    return {'spleen': 1.0}\n",
    "loud": "    if not truth.classes.any():\n        raise ValueError('nothing to see.')\n"
            "    return dice(prediction, truth)\n",
}  # fmt: skip
"""Metrics that nobody should believe."""

HEAD = "from delineate.metrics import Empty, traits\nfrom delineate.metrics.dice import dice\n"


def metric_file(name, body):
    rule = "@traits(empty=Empty(truth=0, prediction=0, both=None))\n"
    return f"{HEAD}{rule}def {name}(prediction, truth):\n    'A number.'\n{body}"


@pytest.mark.parametrize("name", BAD)
def test_a_bad_metric_breaks_the_contract(name, add_file, broken):
    add_file("metrics", name, metric_file(name, BAD[name]))
    assert broken(name)


def test_a_metric_of_no_name_keeps_the_contract(add_file, broken):
    body = "    return {n: s * s for n, s in dice(prediction, truth).items()}\n"
    add_file("metrics", "squared", metric_file("squared", body))
    assert broken("squared") is None


def test_the_rules_are_told_in_one_line_and_one_that_is_not_stated_is_told_too():
    known = {n: traits_of(resolve("metrics", n)) for n in ("dice", "recall", "iou", "brier")}
    assert empty_rule(known | {"mine": Traits()}) == (
        "Empty masks (only truth / only prediction / both empty; – is left out of the mean): dice, iou 0/0/–; "
        "recall –/0/–; brier as any case; mine not stated."
    )


@pytest.mark.parametrize("name", ["pixel_accuracy", "balanced_accuracy"])
def test_everything_ignored_has_no_accuracy(name):
    prediction, truth = (truth_of(np.array([row], np.uint8)) for row in ([0, 1], [9, 9]))
    assert math.isnan(resolve("metrics", name)(prediction, truth)["all"])


def test_load_metrics_keeps_the_order_and_the_names():
    metrics = load_metrics(
        [Call("iou"), Call("dice"), Call("delineate.metrics.recall:recall", trust=OWN)]
    )
    assert list(metrics) == ["iou", "dice", "delineate.metrics.recall:recall"]
    both = load_metrics([Call("recall"), Call("delineate.metrics.recall:recall", trust=OWN)])
    assert len(both) == 2  # somebody's own recall may be another
    with pytest.raises(RecipeError, match="listed twice"):
        load_metrics([Call("dice"), Call("dice")])
    with pytest.raises(RecipeError, match="did you mean 'dice'"):
        load_metrics([Call("dise")])


def test_the_matrix_is_counted_once_per_pair():
    prediction, truth = (truth_of(np.array([row], np.uint8)) for row in ([1, 0], [1, 1]))
    assert counts(prediction, truth) is counts(prediction, truth)
    before = counts(prediction, truth)
    forget()
    assert counts(prediction, truth) is not before
    assert counts(truth_of(prediction.classes), truth) is not counts(prediction, truth)
