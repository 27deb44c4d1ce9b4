"""A score that can be pooled."""

import math
import pickle

import numpy as np
import pytest

from delineate.metrics import Tally, pool, pool_weighted


def test_is_a_number_and_pools_its_parts():
    small, large = Tally("ratio", (1, 2)), Tally("ratio", (30, 30))
    assert small == 0.5
    assert (small + large) / 2 == 0.75  # the mean of cases
    assert pool([small, large]) == 31 / 32  # the cases as one


def test_nothing_to_divide_by_is_nan():
    assert math.isnan(Tally("ratio", (0, 0)))
    assert math.isnan(pool([]))
    assert pool([Tally("ratio", (0, 0)), Tally("ratio", (1, 4))]) == 0.25


def test_weights_count_cases_several_times():
    tallies = [Tally("ratio", (1, 2)), Tally("ratio", (3, 3)), Tally("ratio", (0, 0))]
    weights = np.array([[1, 1, 1], [2, 0, 1], [0, 0, 3]])
    np.testing.assert_allclose(pool_weighted(tallies, weights), [0.8, 0.5, np.nan])


def test_survives_a_pickle():
    again = pickle.loads(pickle.dumps(Tally("ratio", (1, 2))))
    assert (again, again.kind, again.parts.tolist()) == (0.5, "ratio", [1, 2])


def test_two_kinds_do_not_mix():
    other = Tally("ratio", (1, 2))
    other.kind = "another"
    with pytest.raises(ValueError, match="another, ratio cannot be pooled"):
        pool([Tally("ratio", (1, 2)), other])


def test_a_score_may_be_known_more_finely_than_its_parts_tell():
    fine = Tally.of(0.51, "ratio", np.array([1, 2]))
    again = pickle.loads(pickle.dumps(fine))
    assert (fine, again, pool([fine]), pool([again])) == (0.51, 0.51, 0.5, 0.5)


def test_more_cases_than_are_added_at_a_time():
    tallies = [Tally("ratio", (i, 2)) for i in range(2500)]
    weights = np.arange(2 * 2500).reshape(2, 2500) % 3
    expected = (weights @ np.arange(2500)) / (2 * weights.sum(axis=1))
    np.testing.assert_allclose(pool_weighted(tallies, weights), expected)
