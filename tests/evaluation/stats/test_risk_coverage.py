from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.evaluation.stats.risk_coverage import risk_coverage

few = settings(max_examples=25, deadline=None)
pairs = st.lists(
    st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9]), st.sampled_from([0.0, 0.1, 0.3, 1.0])),
    min_size=1,
    max_size=6,
)


def area(risks):
    return np.mean([np.mean(risks[:k]) for k in range(1, len(risks) + 1)])


@few
@given(pairs)
def test_area_is_the_mean_over_all_orders_that_equal_confidence_allows(cases):
    curve = risk_coverage(*np.array(cases).T)
    allowed = [
        area([risk for _, risk in order])
        for order in permutations(cases)
        if all(a[0] >= b[0] for a, b in pairwise(order))
    ]
    assert curve.aurc == pytest.approx(np.mean(allowed))
    every = [area([risk for _, risk in order]) for order in permutations(cases)]
    assert curve.best_aurc == pytest.approx(min(every))
    assert np.mean(every) == pytest.approx(np.mean([risk for _, risk in cases]))  # no order at all


@few
@given(pairs, st.randoms(use_true_random=False))
def test_each_step_keeps_what_reaches_the_threshold(cases, random):
    confidence, risk = np.array(cases).T
    curve = risk_coverage(confidence, risk)
    assert curve.threshold.tolist() == sorted(set(confidence), reverse=True)
    for threshold, coverage, mean in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        kept = confidence >= threshold
        assert coverage == pytest.approx(kept.mean())
        assert mean == pytest.approx(risk[kept].mean())
    random.shuffle(cases)
    again = risk_coverage(*np.array(cases).T)
    assert again.aurc == pytest.approx(curve.aurc)
    assert again.risk == pytest.approx(curve.risk)


@few
@given(pairs, st.floats(0, 1))
def test_review_sends_about_the_share_and_counts_what_it_caught(cases, share):
    confidence, risk = np.array(cases).T
    found = risk_coverage(confidence, risk).review(share)
    sent = confidence < found.threshold
    assert (found.sent, found.share) == (sent.sum(), pytest.approx(sent.mean()))
    assert found.risk_before == pytest.approx(risk.mean())
    assert found.risk_after == pytest.approx(risk[~sent].mean())
    reachable = [(confidence < t).mean() for t in set(confidence)]
    assert abs(found.share - share) == pytest.approx(min(abs(r - share) for r in reachable))
    worst = sorted(risk, reverse=True)[: found.sent]
    left = list(risk[sent])
    caught = [left.remove(r) for r in worst if r in left]  # of equal risks any may be the worst
    assert found.caught == len(caught)


def test_a_dozen_by_hand():
    confidence = np.arange(1, 13) / 12
    risk = np.array([0.9, 0.1, 0.8, *[0.1] * 9])
    found = risk_coverage(confidence, risk).review(2 / 12)
    assert (found.sent, found.caught, found.threshold) == (2, 1, pytest.approx(3 / 12))
    assert found.risk_after == pytest.approx((0.8 + 0.9) / 10)


def test_equal_confidence_is_sent_together_or_not_at_all():
    curve = risk_coverage(np.array([0.5, 0.5, 0.5, 0.9]), np.array([1.0, 0.0, 0.5, 0.1]))
    assert curve.review(0.25).sent == 0
    assert curve.review(0.6).sent == 3
    assert risk_coverage(np.full(5, 0.5), np.arange(5)).review(0.4).sent == 0


def test_what_is_not_known_is_left_out_and_counted():
    nan = np.nan
    curve = risk_coverage(np.array([0.9, nan, 0.2, 0.4]), np.array([0.1, 0.2, nan, 0.3]))
    assert curve.left_out == 2
    assert curve.coverage.tolist() == [0.5, 1.0]
    assert curve.risk == pytest.approx([0.1, 0.2])


def test_nothing_has_an_empty_curve():
    curve = risk_coverage(np.array([np.nan]), np.array([0.5]))
    assert len(curve.risk) == 0
    assert np.isnan(curve.aurc)
    assert np.isnan(curve.best_aurc)
    with pytest.raises(ValueError, match="nothing to send"):
        curve.review(0.1)


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"expected \(case,\) for both"):
        risk_coverage(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="share is 8"):
        risk_coverage(np.zeros(3), np.zeros(3)).review(8)
