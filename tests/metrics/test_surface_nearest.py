"""Distances between sets of samples, against looking at every pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from delineate.metrics import _surface_nearest
from delineate.metrics._surface_nearest import nearest


def by_pairs(here, there, spacing):
    a, b = np.argwhere(here) * spacing, np.argwhere(there) * spacing
    return np.sqrt(((a[:, None] - b) ** 2).sum(axis=-1)).min(axis=1)


@st.composite
def samples(draw):
    shape = draw(st.sampled_from([(1, 1), (30, 2), (3, 40), (17, 23), (9, 8, 11), (2, 1, 30)]))
    spacing = draw(st.tuples(*[st.sampled_from([0.3, 1.0, 5.0])] * len(shape)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.02, 0.3, 1.0]))
    here, there = rng.random((2, *shape)) < share
    there.flat[rng.integers(there.size)] = True
    return here, there, np.array(spacing)


@settings(max_examples=60, deadline=None)
@given(samples())
def test_is_the_least_over_all_pairs(case):
    np.testing.assert_allclose(nearest(*case), by_pairs(*case), rtol=1e-12)


@pytest.mark.parametrize(("rows", "pairs"), [(4, 10**6), (2048, 1), (2048, 0)])
@settings(max_examples=25, deadline=None)
@given(case=samples())
def test_what_the_rows_leave_open_the_tree_finds(rows, pairs, case):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_surface_nearest, "ROWS", rows)
        patch.setattr(_surface_nearest, "PAIRS", pairs)
        np.testing.assert_allclose(nearest(*case), by_pairs(*case), rtol=1e-12)


def test_agrees_with_a_distance_transform_near_and_far():
    rng = np.random.default_rng(0)
    here, there = rng.random((2, 20, 60, 60)) < 0.01
    there[:, 30:] = False
    spacing = np.array([2.5, 0.8, 0.7])
    expected = distance_transform_edt(~there, sampling=spacing)[here]
    np.testing.assert_allclose(nearest(here, there, spacing), expected, rtol=1e-12)


def test_nothing_is_infinitely_far_and_changes_nothing():
    nothing, something = np.zeros((4, 5), bool), np.eye(4, 5, dtype=bool)
    assert (nearest(something, nothing, np.ones(2)) == np.inf).all()
    assert nearest(nothing, something, np.ones(2)).shape == (0,)
    kept = something.copy()
    nearest(something, something, np.ones(2))
    assert (something == kept).all()
