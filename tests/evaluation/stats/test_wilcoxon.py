import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from delineate.evaluation.stats import signed_rank_sum, wilcoxon

few = settings(max_examples=20, deadline=None)


def by_all_signs(differences):
    """p from every way in which the signs could have fallen."""
    d = np.array([x for x in differences if x != 0])
    ranks = stats.rankdata(np.abs(d))
    middle = ranks.sum() / 2
    seen = abs(ranks[d > 0].sum() - middle)
    signs = np.array(list(itertools.product([0, 1], repeat=len(d))))
    return float((np.abs(signs @ ranks - middle) >= seen - 1e-9).mean())


@few
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9).filter(any))
def test_few_differences_are_exact_also_with_ties_and_zeros(differences):
    assert wilcoxon(differences) == pytest.approx(by_all_signs(differences))


def test_ties_agree_with_the_permutation_test_of_scipy():
    d = [3, 3, -1, 2, 2, 5, -2, 4, 4]
    expected = stats.wilcoxon(d, method=stats.PermutationMethod()).pvalue
    assert wilcoxon(d) == pytest.approx(expected)


def test_the_worked_example_of_the_original():
    # Wilcoxon (1945), Darwin's maize in Fisher's hands: the two negative differences have ranks 1 and 14.
    d = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    ranks = stats.rankdata(np.abs(d))
    assert ranks[np.array(d) < 0].sum() == 24
    assert wilcoxon(d) == pytest.approx(0.0413, abs=5e-5)


def test_many_differences_take_the_normal_approximation():
    d = np.random.default_rng(2).normal(0.1, 1, 200)
    assert wilcoxon(d) == pytest.approx(stats.wilcoxon(d, method="asymptotic").pvalue)
    assert wilcoxon(d[:50]) == pytest.approx(stats.wilcoxon(d[:50], method="exact").pvalue)


@few
@given(st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-6), min_size=1, max_size=30))
def test_sign_scale_zeros_and_nan_change_nothing(differences):
    d = np.array(differences)
    p = wilcoxon(d)
    assert 0 < p <= 1
    for same in (-d, 40 * d, [*d, 0, 0], [math.nan, *d]):
        assert wilcoxon(same) == pytest.approx(p)


def test_differences_alike_but_for_rounding_are_ties():
    d = [0.3 - 0.2, 0.2 - 0.1, -(0.4 - 0.3), 0.8 - 0.7, 0.5 - 0.3]
    assert wilcoxon(d) == wilcoxon([1, 1, -1, 1, 2])


def test_no_difference_at_all_and_nothing():
    assert wilcoxon([0.0, 0.0]) == 1
    assert math.isnan(wilcoxon([]))
    assert math.isnan(wilcoxon([math.nan]))


def test_the_sum_says_to_which_side_p_speaks():
    many, few_large = [0.005 + i / 5000 for i in range(85)], [-0.5 - i / 100 for i in range(15)]
    assert np.mean(many + few_large) < 0 < signed_rank_sum(many + few_large)
    assert wilcoxon(many + few_large) < 0.001
    assert signed_rank_sum([]) == signed_rank_sum([0.0, math.nan]) == 0
    assert signed_rank_sum([0.3 - 0.2, 0.1 - 0.2]) == 0  # rounding makes no rank
    assert signed_rank_sum([3.0, -1.0, 0.0]) == 1


@few
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=30).filter(any))
def test_the_sum_is_that_of_scipy(differences):
    known = np.array([d for d in differences if d])
    up, down = (
        stats.wilcoxon(known, alternative="greater", method="asymptotic").statistic,
        stats.wilcoxon(-known, alternative="greater", method="asymptotic").statistic,
    )
    assert signed_rank_sum(differences) == pytest.approx(up - down)
