"""Limits of agreement against closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delineate.evaluation.stats import agreement

SIZES = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), min_size=2, max_size=12)


def test_limits_are_those_of_bland_and_altman():
    """Differences 1, 2, 3, 4: mean 2.5, standard deviation 1.29099."""
    found = agreement(np.array([11.0, 12, 13, 14]), np.full(4, 10.0), list("abcd"))
    assert found.difference == 2.5
    assert found.limits == pytest.approx(
        (2.5 - 1.959964 * (5 / 3) ** 0.5, 2.5 + 1.959964 * (5 / 3) ** 0.5)
    )
    assert found.difference in found.interval


@given(SIZES)
def test_swapping_the_two_changes_the_sign(pairs):
    measured, reference = np.array(pairs).T
    groups = [str(i) for i in range(len(pairs))]
    one = agreement(measured, reference, groups, resamples=20)
    other = agreement(reference, measured, groups, resamples=20)
    assert one.difference == pytest.approx(-other.difference)
    assert one.limits == pytest.approx((-other.limits.high, -other.limits.low))


def test_what_is_not_known_is_nan():
    one = agreement(np.array([3.0]), np.array([1.0]), ["a"])
    assert one.difference == 2
    assert not one.interval.known
    assert not one.limits.known
    none = agreement(np.zeros(0), np.zeros(0), [])
    assert none.difference != none.difference
