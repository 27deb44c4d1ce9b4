from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Target
from delineate.training.batches import CaseSampler, collate

SHOWS = np.array([True, True, False, False, False, False, False, False, True])


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
    assert sum(SHOWS[found]) == round(share * len(SHOWS))
    for kind in (True, False):
        times = Counter(i for i in found if SHOWS[i] == kind).values()
        assert not times or max(times) - min(times) <= 1 or len(times) < sum(kind == SHOWS)


def test_devices_share_an_epoch_out():
    parts = [drawn(CaseSampler(SHOWS, 0, None, rank, 2), 4) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 4
    assert not set(parts[0]) & set(parts[1])


def test_balance_needs_both_kinds():
    with pytest.raises(ValueError, match="9 of 9 show one"):
        CaseSampler(np.ones(9, bool), 0, 0.5)


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
