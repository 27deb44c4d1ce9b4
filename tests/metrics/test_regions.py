"""Labels that include others: each is judged as the one mask that it is together with them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Geometry, Instance, Label, LabelSet, Segmentation
from delineate.metrics import Tally, counts, pool, traits_of
from delineate.resolve import names, resolve

LIVER = LabelSet(
    (
        Label("liver", 1, includes=("tumour",)),
        Label("tumour", 2, "thing"),
        Label("spleen", 5),
        Label("unsure", 9, "ignore"),
    )
)
BRATS = LabelSet(
    (
        Label("enhancing", 4, "thing"),
        Label("whole", 2, "thing", includes=("core",)),
        Label("core", 1, "thing", includes=("enhancing",)),
        Label("unsure", 9, "ignore"),
    )
)
CROSSED = LabelSet(
    (
        Label("left", 1, includes=("both",)),
        Label("right", 2, "thing", includes=("both",)),
        Label("both", 3, "thing"),
        Label("unsure", 9, "ignore"),
    )
)
"""Two labels that overlap, and neither is part of the other."""

MEMBERS = {
    LIVER: {"liver": (1, 2), "tumour": (2,), "spleen": (5,)},
    BRATS: {"whole": (2, 1, 4), "core": (1, 4), "enhancing": (4,)},
    CROSSED: {"left": (1, 3), "right": (2, 3), "both": (3,)},
}
"""Written out, so that the tests do not ask what they test."""

EVERYWHERE = {"ece": {"margin": None}}
"""Near which labels a calibration error is judged depends on all of them."""

LOOKED_AT = [n for n in names("metrics") if n not in ("ece_top", "pixel_accuracy", "balanced_accuracy")]  # fmt: skip

nested = pytest.mark.parametrize("labels", list(MEMBERS), ids=["liver", "brats", "crossed"])
few = settings(max_examples=12, deadline=None)


@st.composite
def cases(draw, labels):
    """Label maps found and true with values of `labels`, some ignored, and a probability per label."""
    shape = draw(st.sampled_from([(9, 7), (5, 6, 7), (1, 8, 6)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 3]))
    values = (0, *labels.values, 9)
    weights = rng.dirichlet(np.full(len(values), 0.5))
    maps = (rng.choice(values, size=shape, p=weights).astype(np.uint8) for _ in range(2))
    block = np.ones((size,) * len(shape), np.uint8)
    cut = tuple(slice(n) for n in shape)
    prediction, truth = (np.kron(one, block)[cut] for one in maps)
    return (
        np.where(prediction == 9, 0, prediction),
        truth,
        rng.random((len(labels), *shape), np.float32),
    )


def segmentation(classes, labels, probability=None):
    scores = {f"expected dice of {name}": 0.1 * i for i, name in enumerate(labels.names)}
    maps = None
    if probability is not None:
        maps = np.concatenate([1 - probability.max(axis=0, keepdims=True), probability])
        for name, of_label in zip(labels.names, probability, strict=True):
            scores[f"presence of {name}"] = float(of_label.max())
    grid = Geometry(classes.shape, (2.0, 1.0, 0.5)[-classes.ndim :], "mm")
    return Segmentation(classes, labels, grid, scores=scores, probabilities=maps)


def alone(classes, values, label):
    """A label map of one label: 1 where `classes` has one of these values, 9 where it is ignored."""
    kept = np.isin(classes, values).astype(np.uint8)
    kept[classes == 9] = 9
    return kept, LabelSet((Label(label.name, 1, label.kind), Label("unsure", 9, "ignore")))


@nested
@pytest.mark.parametrize("name", LOOKED_AT)
@few
@given(data=st.data())
def test_each_is_judged_as_its_union_alone(name, labels, data):
    metric, options = resolve("metrics", name), EVERYWHERE.get(name, {})
    prediction, truth, probability = data.draw(cases(labels))
    scores = metric(
        segmentation(prediction, labels, probability), segmentation(truth, labels), **options
    )
    judged = [n for n in labels.names if not traits_of(metric).things or labels[n].kind == "thing"]  # fmt: skip
    assert [n for n in scores if n != "all"] == judged  # a metric may add a mean over all labels
    for place, label in enumerate(labels):
        if label.name not in scores or traits_of(metric).expects:
            continue
        values = MEMBERS[labels][label.name]
        there, one = alone(truth, values, label)
        here, _ = alone(prediction, values, label)
        expected = metric(
            segmentation(here, one, probability[place : place + 1]),
            segmentation(there, one),
            **options,
        )[label.name]
        score = scores[label.name]
        assert score == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)
        if isinstance(score, Tally):
            assert pool([score, score]) == pytest.approx(pool([expected] * 2), nan_ok=True)


@nested
@few
@given(data=st.data())
def test_counts_are_those_of_masks(labels, data):
    prediction, truth, _ = data.draw(cases(labels))
    n = counts(segmentation(prediction, labels), segmentation(truth, labels))
    judged = truth != 9
    for i, (name, values) in enumerate((name, MEMBERS[labels][name]) for name in n.names):
        f, t = np.isin(prediction, values) & judged, np.isin(truth, values) & judged
        expected = ((f & t).sum(), (f & ~t).sum(), (t & ~f).sum(), (judged & ~f & ~t).sum())
        assert (n.tp[i], n.fp[i], n.fn[i], n.tn[i]) == expected, name
    assert n.matrix.sum() == judged.sum()  # every sample once


def test_hand_drawn():
    """A tumour at the rim of the liver, which the network calls liver: the liver is right all the same."""
    truth = np.array([[0, 1, 1, 2, 2, 0]], np.uint8)
    prediction = np.array([[0, 1, 1, 1, 2, 2]], np.uint8)
    dice = resolve("metrics", "dice")(segmentation(prediction, LIVER), segmentation(truth, LIVER))
    assert dice["liver"] == pytest.approx(8 / 9)
    assert dice["tumour"] == pytest.approx(2 / 4)
    assert math.isnan(dice["spleen"])


def test_accuracy_is_of_all_labels_of_a_sample_at_once():
    truth = np.array([[0, 1, 1, 2, 2, 0]], np.uint8)
    prediction = np.array([[0, 1, 1, 1, 2, 2]], np.uint8)
    pair = segmentation(prediction, LIVER), segmentation(truth, LIVER)
    assert resolve("metrics", "pixel_accuracy")(*pair) == {"all": pytest.approx(4 / 6)}
    assert resolve("metrics", "balanced_accuracy")(*pair) == {"all": pytest.approx(2 / 3)}


def test_instances_of_a_label_and_of_what_it_includes_are_both_judged():
    mask = np.ones((4, 4), bool)
    classes = np.ones((4, 4), np.uint8)
    classes[1:3, 1:3] = 4
    whole = Instance("whole", 0.9, mask, (0, 0))
    inner = Instance("enhancing", 0.8, mask[1:3, 1:3], (1, 1))
    grid = Geometry.in_pixels((4, 4))
    truth = Segmentation(classes, BRATS, grid, instances=(whole, inner))
    for name in ("pq", "lesion_f1", "mask_ap"):
        assert resolve("metrics", name)(truth, truth) == {"enhancing": 1, "whole": 1, "core": 1}


def test_the_one_label_of_a_sample_is_not_asked_for_where_there_are_several():
    classes = np.zeros((3, 3), np.uint8)
    found = segmentation(classes, LIVER, np.zeros((3, 3, 3), np.float32))
    with pytest.raises(ValueError, match="ece_top needs labels that exclude each other"):
        resolve("metrics", "ece_top")(found, segmentation(classes, LIVER))


def test_labels_of_one_name_that_include_different_labels_are_not_compared():
    plain = LabelSet(
        (Label("liver", 1), Label("tumour", 2), Label("spleen", 5), Label("unsure", 9, "ignore"))
    )
    classes = np.zeros((3, 3), np.uint8)
    with pytest.raises(
        ValueError, match="liver includes nothing in the prediction and tumour in the truth"
    ):
        counts(segmentation(classes, plain), segmentation(classes, LIVER))
