import pytest

from delineate.evaluation.stats import caution


@pytest.mark.parametrize("groups", [2, 3, 8, 19])
def test_few_groups_are_read_with_care(groups):
    assert caution(groups) == (
        f"With {groups} groups an interval is uncertain. In simulations of skewed Dice with 3, 5, 8 and 20 groups, "
        "95 % intervals contained the true mean in 98, 97, 97 and 95 % of the tables, the pooled score in 98, 97, 95 "
        "and 94 %, and a paired difference in 98, 96, 93 and 90 %."
    )


@pytest.mark.parametrize(("groups", "said"), [(0, "With 0 groups"), (1, "With 1 group there")])
def test_without_two_there_is_no_interval(groups, said):
    assert caution(groups).startswith(said)
    assert "no interval" in caution(groups)


def test_enough_groups_need_none():
    assert caution(20) is None
