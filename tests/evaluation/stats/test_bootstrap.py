import math
import runpy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from delineate.evaluation.stats import Interval, bootstrap, clopper_pearson, weighted_mean
from delineate.metrics import Tally, pool_weighted

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

QUANTILES = ("percentile", "bca")
METHODS = ("t", *QUANTILES)
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
    found = bootstrap(mean_of(values), groups, seed=7, resamples=300, method="percentile")
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
    plain, moved = (bootstrap(mean_of(values), own(60), method=m) for m in QUANTILES)
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


@pytest.mark.parametrize("method", METHODS)
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
@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=30),
    st.integers(0, 5),
    st.sampled_from(QUANTILES),
)
def test_quantiles_lie_within_the_extremes_and_repeat(values, seed, method):
    how = {"seed": seed, "resamples": 200, "method": method}
    low, high = bootstrap(mean_of(values), own(len(values)), **how)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == bootstrap(mean_of(values), own(len(values)), **how)


@few
@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
    st.integers(1, 30),
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (-math.inf, 1.0), (-math.inf, math.inf)]),
)  # fmt: skip
def test_the_t_interval_stays_within_bounds_and_holds_the_estimate(values, groups, bounds):
    members = [f"p{i % groups}" for i in range(len(values))]
    found = bootstrap(mean_of(values), members, bounds=bounds, resamples=200)
    assert (
        found == bootstrap(mean_of(values), members, bounds=bounds, resamples=200)
        or not found.known
    )
    if found.known:
        mean = float(np.mean(values))
        assert bounds[0] <= found.low <= mean + 1e-12
        assert mean - 1e-12 <= found.high <= bounds[1]
        assert found.high > found.low


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e-160])
@pytest.mark.parametrize("method", QUANTILES)
def test_equal_values_have_quantiles_without_width(method, scale):
    assert bootstrap(mean_of([scale] * 9), own(9), method=method) == pytest.approx((scale, scale))


@pytest.mark.parametrize("groups", [2, 5, 30])
def test_equal_values_are_not_taken_for_certainty(groups):
    """At a bound it is the interval of a rate of 0 of n or n of n groups; without bounds there is none."""
    how = {"groups": own(groups), "resamples": 200}
    for at in (0, groups):
        found = bootstrap(mean_of([at / groups] * groups), bounds=(0, 1), **how)
        assert found == pytest.approx(clopper_pearson(at, groups))
    inside = bootstrap(mean_of([0.1 + 0.2] * groups), bounds=(0, 1), **how)
    share = 1 - 0.025 ** (1 / groups)
    assert inside == pytest.approx((0.3 * (1 - share), 0.3 + 0.7 * share))
    assert not bootstrap(mean_of([3.0] * groups), bounds=(0, math.inf), **how).known
    twice = bootstrap(mean_of([1.0] * 2 * groups), 2 * own(groups), bounds=(0, 1), resamples=200)
    assert twice == pytest.approx(clopper_pearson(groups, groups))


def test_the_t_interval_of_equal_groups_is_that_of_student_and_of_unequal_ones_wider():
    values = np.random.default_rng(8).normal(0.7, 0.1, 12)
    found = bootstrap(mean_of(values), own(12), resamples=20_000)
    theirs = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert found == pytest.approx(theirs, abs=0.02 * (theirs[1] - theirs[0]))
    small = bootstrap(mean_of(values), own(12), bounds=(-1e6, 1e6), resamples=20_000)
    assert small == pytest.approx(tuple(found), abs=1e-5)  # bounds far off change nothing
    sizes = [12, *[1] * 11]
    unequal = bootstrap(mean_of(np.repeat(values, sizes)), np.repeat(own(12), sizes).tolist())
    assert unequal.high - unequal.low > 1.5 * (found.high - found.low)


def test_a_statistic_beyond_its_bounds_has_none():
    percent = np.random.default_rng(9).normal(80, 5, 30)
    within = bootstrap(mean_of(percent), own(30), bounds=(0, 1))
    assert within == bootstrap(mean_of(percent), own(30))


def test_an_error_of_zero_that_resamples_do_not_share_has_an_interval():
    """Calibration: two patients err to either side, and cancel."""
    tallies = [Tally("ece", [[10], [5], [5 + gap]]) for gap in (-2, 2, -2, 2)]
    found = bootstrap(partial(pool_weighted, tallies), own(4), bounds=(0, 1))
    assert found.low == 0
    assert 0.1 < found.high <= 1


@pytest.mark.slow
def test_few_clustered_skewed_scores_are_covered_as_the_caution_says():
    """The figures of `caution`, within what 300 tables can tell; percentiles covered 70 to 90 %."""
    simulated = runpy.run_path(str(BENCHMARKS / "coverage.py"))
    coverage = simulated["coverage"]
    for name, expected in (("mean Dice", (98, 97, 97, 95)), ("pooled Dice", (98, 97, 95, 94))):
        for groups, percent in zip((3, 5, 8, 20), expected, strict=True):
            covered, width = coverage(*simulated["SIMULATED"][name], groups, 300)["t"]
            assert 100 * covered == pytest.approx(percent, abs=4), (name, groups)
            assert covered >= {3: 0.93, 5: 0.93, 8: 0.92, 20: 0.92}[groups]
    covered, width = coverage(*simulated["SIMULATED"]["mean Dice"], 60, 300)["t"]
    assert 0.91 <= covered <= 0.98
    assert 0.85 <= width <= 1.1


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
    found = bootstrap(partial(pool_weighted, tallies), own(40), resamples=500, method="percentile")
    drawn = np.random.default_rng(0).integers(40, size=(500, 40))
    ratios = parts[drawn, 0].sum(axis=1) / parts[drawn, 1].sum(axis=1)
    assert found == pytest.approx(tuple(np.percentile(ratios, [2.5, 97.5])))


def test_resamples_without_an_answer_are_left_out():
    tallies = [Tally("ratio", pair) for pair in ((0, 0), (0, 0), (1, 2), (3, 4))]
    low, high = bootstrap(partial(pool_weighted, tallies), own(4), method="percentile")
    assert (low, high) == (0.5, 0.75)
    nothing = [Tally("ratio", (0, 0))] * 3
    for method in METHODS:
        assert not bootstrap(partial(pool_weighted, nothing), own(3), method=method).known


def test_of_one_group_nothing_is_known():
    assert all(math.isnan(end) for end in bootstrap(mean_of([0.1, 0.9]), ["p", "p"]))
    assert not bootstrap(mean_of([]), []).known
    assert 0.5 not in Interval()


def test_refuses_what_cannot_be():
    for wrong, said in (
        ({"level": 95}, "level is 95; expected a share"),
        ({"resamples": 0}, "resamples is 0"),
        ({"method": "basic"}, "expected 't', 'percentile' or 'bca'"),
    ):
        with pytest.raises(ValueError, match=said):
            bootstrap(mean_of([0.1, 0.9]), own(2), **wrong)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_known_where_one_group_alone_has_an_answer(method):
    """However often one patient is drawn, the answer is theirs: a width of 0 would look like certainty."""
    parts = [(1, 2), *[(0, 0)] * 9]
    tallies = [Tally("ratio", pair) for pair in parts]
    assert not bootstrap(partial(pool_weighted, tallies), own(10), method=method).known
    twice = [Tally("ratio", pair) for pair in [*parts, (3, 4)]]
    same_patient = [*own(10), own(1)[0]]
    assert not bootstrap(partial(pool_weighted, twice), same_patient, method=method).known
    found = bootstrap(partial(pool_weighted, twice), own(11), method=method)
    assert found == (0.5, 0.75) if method != "t" else found.high - found.low > 0.25


def test_an_answer_that_groups_give_together_is_known():
    """AUROC: no patient has both kinds of sample, but enough have one or the other."""
    sides = [Tally("auroc", [[4, 2], [0, 0]]), Tally("auroc", [[0, 0], [1, 3]])]
    how = {"resamples": 500, "bounds": (0, 1)}
    found = bootstrap(partial(pool_weighted, sides * 2), own(4), **how)
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
