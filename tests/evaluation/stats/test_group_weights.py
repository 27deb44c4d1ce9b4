import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.evaluation.stats import group_weights

# By its own name the module is hidden behind its function.
module = __import__("sys").modules["delineate.evaluation.stats.group_weights"]


def all_of(groups, **how):
    return np.concatenate(list(group_weights(groups, **how)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=20), st.integers(0, 3))
def test_whole_groups_are_drawn_as_many_as_there_are(groups, seed):
    weights = all_of(groups, seed=seed, resamples=50)
    assert weights.shape == (50, len(groups))
    for name in set(groups):
        mine = weights[:, [g == name for g in groups]]
        assert (mine == mine[:, :1]).all()
    first = [groups.index(name) for name in sorted(set(groups))]
    assert (weights[:, first].sum(axis=1) == len(first)).all()


def test_the_order_of_cases_changes_nothing():
    groups = ["b", "a", "c", "a"]
    order = [3, 0, 2, 1]
    turned = all_of([groups[i] for i in order], seed=3, resamples=40)
    assert (turned == all_of(groups, seed=3, resamples=40)[:, order]).all()


def test_every_case_is_drawn_once_on_average():
    weights = all_of([f"p{i}" for i in range(30)], resamples=4000)
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.08)
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.01)


def test_the_size_of_chunks_changes_nothing(monkeypatch):
    groups = [f"p{i % 70}" for i in range(100)]
    whole = all_of(groups, seed=1, resamples=300)
    monkeypatch.setattr(module, "CHUNK", 700)  # seven resamples at a time, and none are kept
    chunks = list(group_weights(groups, seed=1, resamples=300))
    assert {len(chunk) for chunk in chunks} == {7, 6}
    assert (np.concatenate(chunks) == whole).all()


def test_many_resamples_come_in_chunks():
    assert max(len(chunk) for chunk in group_weights(["a", "b"], resamples=2000)) <= 256


def test_other_seeds_draw_others():
    groups = [f"p{i}" for i in range(10)]
    assert (all_of(groups, seed=0) != all_of(groups, seed=1)).any()
