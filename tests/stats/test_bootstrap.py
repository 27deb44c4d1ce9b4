import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from delineate.metrics import Tally, pool_weighted
from delineate.stats import Interval, bootstrap, weighted_mean

few = settings(max_examples=20, deadline=None)


def own(cases):
    """Each case a group of its own."""
    return [f"p{i:04}" for i in range(cases)]


def mean_of(values):
    return partial(weighted_mean, np.asarray(values, dtype=np.float64))


def test_a_percentile_interval_agrees_with_a_plain_loop_over_groups():
    values = np.array([0.1, 0.2, 0.9, 0.4, 0.8])
    groups = ["b", "b", "a", "c", "c"]
    by_group = [[0.9], [0.1, 0.2], [0.4, 0.8]]
    rng = np.random.default_rng(7)
    means = [
        np.mean(np.concatenate([by_group[i] for i in rng.integers(3, size=3)])) for _ in range(300)
    ]
    found = bootstrap(mean_of(values), groups, seed=7, resamples=300)
    assert found == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_agrees_with_scipy_where_each_case_is_a_group(method, level):
    values = np.random.default_rng(1).lognormal(0, 1, 60)
    ours = bootstrap(mean_of(values), own(60), resamples=20_000, level=level, method=method)
    named = {"percentile": "percentile", "bca": "BCa"}[method]
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, confidence_level=level, method=named, rng=2
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_bca_moves_towards_the_long_tail():
    values = np.random.default_rng(1).lognormal(0, 1, 60)
    plain, moved = (bootstrap(mean_of(values), own(60), method=m) for m in ("percentile", "bca"))
    assert moved.low > plain.low
    assert moved.high > plain.high


def test_bca_of_something_symmetric_is_the_percentile_interval():
    half = np.linspace(0.1, 1, 40)
    values = np.concatenate([half, -half])
    plain, moved = (
        bootstrap(mean_of(values), own(80), resamples=20_000, method=m)
        for m in ("percentile", "bca")
    )
    assert moved == pytest.approx(plain, abs=0.02 * (plain.high - plain.low))


def test_has_the_width_that_theory_gives():
    values = np.random.default_rng(3).normal(0.7, 0.1, 400)
    half = 1.96 * values.std() / 20
    found = bootstrap(mean_of(values), own(400))
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_groups_make_the_interval_as_wide_as_the_patients_are_few():
    values = np.random.default_rng(4).normal(0.7, 0.1, 50)
    once = bootstrap(mean_of(values), own(50))
    # Each case eight times over is no more than is known from it once.
    again = bootstrap(mean_of(np.repeat(values, 8)), np.repeat(own(50), 8).tolist())
    assert again == pytest.approx(once)
    as_cases = bootstrap(mean_of(np.repeat(values, 8)), own(400))
    assert as_cases.high - as_cases.low < 0.5 * (once.high - once.low)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_covers_the_truth_about_as_often_as_it_says(method):
    rng = np.random.default_rng(5)
    truth, hits, times = 0.8, 0, 200
    for seed in range(times):
        patients = rng.beta(8, 2, 40)
        sizes = rng.integers(1, 4, 40)
        values = np.repeat(patients, sizes)
        groups = np.repeat(own(40), sizes).tolist()
        hits += truth in bootstrap(mean_of(values), groups, seed=seed, resamples=400, method=method)
    assert 0.88 <= hits / times <= 0.99


@few
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(0, 5), st.booleans())
def test_lies_within_the_extremes_and_repeats(values, seed, bca):
    method = "bca" if bca else "percentile"
    how = {"seed": seed, "resamples": 200, "method": method}
    low, high = bootstrap(mean_of(values), own(len(values)), **how)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == bootstrap(mean_of(values), own(len(values)), **how)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e-160])
def test_equal_values_have_an_interval_without_width(method, scale):
    assert bootstrap(mean_of([scale] * 9), own(9), method=method) == pytest.approx((scale, scale))


def test_bca_holds_where_one_patient_decides():
    values = np.zeros(30)
    values[0] = 1.0
    low, high = bootstrap(mean_of(values), own(30), method="bca", resamples=500, level=0.999)
    assert 0 <= low <= high <= 1


def test_pooled_scores_are_read_anew_from_every_resample():
    rng = np.random.default_rng(6)
    parts = rng.integers(0, 50, (40, 2))
    parts[:, 1] += parts[:, 0]
    tallies = [Tally("ratio", pair) for pair in parts]
    found = bootstrap(partial(pool_weighted, tallies), own(40), resamples=500)
    drawn = np.random.default_rng(0).integers(40, size=(500, 40))
    ratios = parts[drawn, 0].sum(axis=1) / parts[drawn, 1].sum(axis=1)
    assert found == pytest.approx(tuple(np.percentile(ratios, [2.5, 97.5])))


def test_resamples_without_an_answer_are_left_out():
    tallies = [Tally("ratio", pair) for pair in ((0, 0), (0, 0), (1, 2), (3, 4))]
    low, high = bootstrap(partial(pool_weighted, tallies), own(4))
    assert (low, high) == (0.5, 0.75)
    nothing = [Tally("ratio", (0, 0))] * 3
    for method in ("percentile", "bca"):
        assert not bootstrap(partial(pool_weighted, nothing), own(3), method=method).known


def test_of_one_group_nothing_is_known():
    assert all(math.isnan(end) for end in bootstrap(mean_of([0.1, 0.9]), ["p", "p"]))
    assert not bootstrap(mean_of([]), []).known
    assert 0.5 not in Interval()


def test_refuses_what_cannot_be():
    for wrong, said in (
        ({"level": 95}, "level is 95; expected a share"),
        ({"resamples": 0}, "resamples is 0"),
        ({"method": "basic"}, "expected 'percentile' or 'bca'"),
    ):
        with pytest.raises(ValueError, match=said):
            bootstrap(mean_of([0.1, 0.9]), own(2), **wrong)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_nothing_is_known_where_one_group_alone_has_an_answer(method):
    """However often one patient is drawn, the answer is theirs: a width of 0 would look like certainty."""
    parts = [(1, 2), *[(0, 0)] * 9]
    tallies = [Tally("ratio", pair) for pair in parts]
    assert not bootstrap(partial(pool_weighted, tallies), own(10), method=method).known
    twice = [Tally("ratio", pair) for pair in [*parts, (3, 4)]]
    same_patient = [*own(10), own(1)[0]]
    assert not bootstrap(partial(pool_weighted, twice), same_patient, method=method).known
    assert bootstrap(partial(pool_weighted, twice), own(11), method=method) == (0.5, 0.75)


def test_an_answer_that_groups_give_together_is_known():
    """AUROC: no patient has both kinds of sample, but enough have one or the other."""
    sides = [Tally("auroc", [[4, 2], [0, 0]]), Tally("auroc", [[0, 0], [1, 3]])]
    found = bootstrap(partial(pool_weighted, sides * 2), own(4), resamples=500)
    assert all(math.isnan(side) for side in sides)
    assert found.known


def test_bca_counts_half_of_the_resamples_that_equal_what_was_seen():
    """Five in ten are as many above as below: there is no bias, though a quarter of the resamples are ties."""
    values = np.repeat([0.0, 1.0], 5)
    plain, moved = (
        bootstrap(mean_of(values), own(10), resamples=20_000, method=m)
        for m in ("percentile", "bca")
    )
    assert moved == plain == pytest.approx((0.2, 0.8))
