import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from delineate.evaluation.stats import clopper_pearson


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [
        (0, 10, (0.0, 0.3085)),  # Clopper & Pearson (1934), and every table since
        (5, 10, (0.1871, 0.8129)),
        (10, 10, (0.6915, 1.0)),
        (81, 263, (0.2527, 0.3676)),  # Newcombe, Statistics in Medicine 1998, table I
        (15, 148, (0.0578, 0.1617)),
        (1, 29, (0.0009, 0.1776)),
    ],
)
def test_known_values(successes, trials, expected):
    assert clopper_pearson(successes, trials) == pytest.approx(expected, abs=6e-5)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_ends_are_where_the_tails_hold_half_of_what_is_left(data):
    n = data.draw(st.integers(1, 200))
    k = data.draw(st.integers(0, n))
    level = data.draw(st.sampled_from([0.8, 0.95, 0.99]))
    low, high = clopper_pearson(k, n, level)
    assert low <= k / n <= high
    if k:
        assert stats.binom.sf(k - 1, n, low) == pytest.approx((1 - level) / 2)
    if k < n:
        assert stats.binom.cdf(k, n, high) == pytest.approx((1 - level) / 2)


def test_none_missed_of_59_is_the_least_that_shows_95_percent():
    # ALGORITHMS e.2: at one-sided 95 %, that is an interval of 90 %.
    assert clopper_pearson(59, 59, 0.9).low >= 0.95
    assert clopper_pearson(58, 58, 0.9).low < 0.95


@pytest.mark.parametrize(
    ("n", "missed"), [(59, 0), (100, 1), (200, 4), (300, 8), (500, 16), (1000, 38), (2000, 83)]
)
def test_the_most_that_may_be_missed(n, missed):
    """ALGORITHMS e.2: m* = max{m : BinomCDF(m; n, 0.05) <= 0.05}."""
    assert clopper_pearson(n - missed, n, 0.9).low >= 0.95
    assert clopper_pearson(n - missed - 1, n, 0.9).low < 0.95


def test_of_no_trials_nothing_is_known():
    assert all(math.isnan(end) for end in clopper_pearson(0, 0))


def test_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="4 successes in 3 trials"):
        clopper_pearson(4, 3)
    with pytest.raises(ValueError, match="level is 95"):
        clopper_pearson(1, 3, 95)
