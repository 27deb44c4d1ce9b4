from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Case, Geometry, Image, Instance, Label, LabelSet, Segmentation, Target
from delineate.prepare import load_prepare
from delineate.prepare.augment import load_augment
from delineate.resolve import Call
from delineate.training.batches import AugmentedCases, CaseSampler, collate
from delineate.training.cache import PreparedCases

SHOWS = np.array([True, True, False, False, False, False, False, False, True])[:, None]


def drawn(draws, epoch):
    draws.set_epoch(epoch)
    return [index for _, index in draws]


def test_an_epoch_draws_every_case_once_and_the_next_in_another_order():
    draws = CaseSampler(SHOWS, seed=3, oversample_foreground=None)
    assert sorted(drawn(draws, 0)) == list(range(9))
    assert drawn(draws, 0) == drawn(draws, 0)
    assert drawn(draws, 0) != drawn(draws, 1)
    assert {epoch for epoch, _ in draws} == {1}


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 0.9), st.integers(0, 5))
def test_balanced_draws_have_the_share_asked_for_and_go_through_evenly(share, epoch):
    found = drawn(CaseSampler(SHOWS, seed=0, oversample_foreground=share), epoch)
    assert SHOWS[found].sum() == round(share * len(SHOWS))
    for kind in (True, False):
        times = Counter(i for i in found if SHOWS[i, 0] == kind).values()
        assert not times or max(times) - min(times) <= 1 or len(times) < sum(kind == SHOWS)


def test_devices_share_an_epoch_out():
    parts = [drawn(CaseSampler(SHOWS, 0, rank=rank, world=2), 4) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 4
    assert not set(parts[0]) & set(parts[1])


def test_balance_needs_both_kinds():
    with pytest.raises(ValueError, match="9 of 9 show one"):
        CaseSampler(np.ones((9, 1), bool), 0, 0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.sampled_from([None, 0.75]))
def test_each_label_gets_the_same_number_of_draws(seed, share):
    rng = np.random.default_rng(seed)
    shows = rng.random((400, 3)) < [0.5, 0.02, 0.1]
    shows[0] = True
    shows[1] = False
    sampler = CaseSampler(shows, seed, share, class_balanced=True)
    order = drawn(sampler, 0)
    assert len(order) == 400
    wanted = shows.any(1).sum() if share is None else 300
    assert shows[order].any(1).sum() == wanted
    rare = shows[order][:, 1].sum()  # cases of the other labels may show it too
    assert rare >= wanted // 3
    assert drawn(sampler, 1) != order
    plain = drawn(CaseSampler(shows, seed, share), 0)
    assert shows[plain][:, 1].sum() < rare


def test_draws_of_a_set_whose_images_mostly_show_one_of_two_labels():
    """As of polyps: 694 images show the one label, 257 the other, 49 both, and none neither."""
    shows = np.zeros((1000, 2), bool)
    shows[:743, 0] = True  # the last 49 of them show both
    shows[694:, 1] = True
    sampler = CaseSampler(shows, 0, class_balanced=True)
    epochs = 40
    times = np.zeros(1000)
    for epoch in range(epochs):
        order = drawn(sampler, epoch)
        assert len(order) == 1000
        assert shows[order].any(1).all()
        np.add.at(times, order, 1)
    times /= epochs
    # 500 draws among the 743 images of the first label, 500 among the 306 of the second
    first, second = 500 / 743, 500 / 306
    expected = shows @ [first, second]
    for kind in (slice(0, 694), slice(694, 743), slice(743, 1000)):
        assert times[kind].mean() == pytest.approx(expected[kind].mean(), rel=0.05)
        assert np.abs(times[kind] - expected[kind]).max() < 0.6
    shares = times @ shows / times.sum()
    assert shares == pytest.approx([0.5 + 49 * second / 1000, 0.5 + 49 * first / 1000], rel=0.02)


def test_a_label_that_no_case_shows_takes_no_draws():
    shows = np.zeros((6, 2), bool)
    shows[:3, 0] = True
    order = drawn(CaseSampler(shows, 0, class_balanced=True), 0)
    assert sorted(order) == list(range(6))
    nothing = CaseSampler(np.zeros((6, 2), bool), 0, class_balanced=True)
    assert sorted(drawn(nothing, 0)) == list(range(6))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.integers(1, 9),
    st.integers(1, 8),
    st.integers(0, 3),
)
def test_a_batch_is_of_one_group_and_epochs_have_one_length(sizes, batch, world, epoch):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    shows = np.ones((len(groups), 1), bool)
    drawn_by = []
    for rank in range(world):
        sampler = CaseSampler(shows, 0, None, False, groups, batch, rank, world)
        mine = np.array(drawn(sampler, epoch))
        assert len(mine) == len(sampler) > 0
        assert (np.ptp(groups[mine].reshape(-1, batch), axis=1) == 0).all()
        drawn_by += list(mine)
    expected = max(1, len(groups) // (batch * world)) * world * batch
    assert len(drawn_by) == expected
    times = Counter(drawn_by)
    for group in range(len(sizes)):
        # whole batches hold a case once; one more batch may repeat some
        repeats = sum(n - 1 for i, n in times.items() if groups[i] == group)
        assert repeats < batch * (1 if len(groups) >= batch * world else world)


@pytest.mark.parametrize(
    ("sizes", "batch", "world"),
    [((80, 120, 160), 200, 1), ((70, 3, 3), 10, 4), ((10, 50), 12, 1), ((3, 5), 4, 4)],
)
def test_groups_smaller_than_a_batch_are_drawn_in_proportion_to_their_size(sizes, batch, world):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    samplers = [
        CaseSampler(np.ones((len(groups), 1), bool), 0, None, False, groups, batch, rank, world)
        for rank in range(world)
    ]
    times = np.zeros(len(groups))
    for epoch in range(400):
        for sampler in samplers:
            np.add.at(times, drawn(sampler, epoch), 1)
    share = np.bincount(groups, times) / times.sum()
    assert np.allclose(share, np.array(sizes) / len(groups), atol=0.06)
    assert (times > 0).all()


def test_valid_is_filled_in_where_one_case_has_it():
    here = np.zeros((2, 2), np.uint8)
    items = [
        ("a", np.zeros((1, 2, 2), np.float32), Target(here)),
        ("b", np.zeros((1, 2, 2), np.float32), Target(here, here > 0)),
    ]
    batch = collate(items)
    assert batch.cases == ("a", "b")
    assert batch.target.valid.sum(dim=(1, 2)).tolist() == [4, 0]
    assert collate(items[:1]).target.valid is None


def test_shapes_that_differ_say_what_to_do():
    items = [(str(n), np.zeros((1, n, 4), np.float32), Target(np.zeros((n, 4)))) for n in (4, 5)]
    with pytest.raises(ValueError, match="resize"):
        collate(items)


@dataclass
class Recorder:
    """A task that keeps the truths it is given."""

    gives: frozenset[str]
    seen: list[Segmentation] = field(default_factory=list)

    def encode(self, truth):
        self.seen.append(truth)
        return Target(truth.classes)


@pytest.mark.parametrize("gives", [{"classes", "instances"}, {"classes"}])
def test_the_whole_truth_reaches_the_task(gives):
    labels = LabelSet((Label("cell", 1, "thing"), Label("tissue", 2)))
    shape = (16, 24)
    classes = np.full(shape, 2, np.uint8)
    classes[2:6, 2:6] = classes[4:8, 4:8] = 1
    square = np.ones((4, 4), bool)
    instances = tuple(Instance("cell", s, square, at) for s, at in ((0.25, (2, 2)), (0.75, (4, 4))))
    truth = Segmentation(
        classes,
        labels,
        Geometry.in_pixels(shape),
        instances,
        {"quality": 0.5},
        {"tissue": True, "cell": None},
    )
    image = Image(np.zeros((1, *shape), np.uint8), truth.geometry)
    case = Case("a", "a", lambda: image, lambda: truth)
    task = Recorder(frozenset(gives))
    cases = PreparedCases(
        [case], labels, load_prepare([]), [], None, instances="instances" in task.gives
    )
    augment = load_augment([Call("flip", {"axes": [1], "p": 1.0})], labels)
    AugmentedCases(cases, augment, task, seed=0)[0, 0]
    (prediction,) = task.seen
    assert np.array_equal(prediction.classes, classes[:, ::-1])
    assert (prediction.scores, prediction.present) == (truth.scores, truth.present)
    expected = [("cell", 0.25, (2, 18)), ("cell", 0.75, (4, 16))] if "instances" in gives else []
    assert [(i.label, i.score, i.start) for i in prediction.instances] == expected
    assert all(i.mask.all() and i.mask.shape == (4, 4) for i in prediction.instances)
