import pytest

from delineate.stats import caution


@pytest.mark.parametrize("groups", [2, 3, 8, 19])
def test_few_groups_are_read_with_care(groups):
    assert caution(groups) == (
        f"With {groups} groups a 95 % bootstrap interval covers less often than it says (about 75 % of the time "
        "with 3, 84 % with 5, 89 % with 8): read it as too narrow."
    )


@pytest.mark.parametrize(("groups", "said"), [(0, "With 0 groups"), (1, "With 1 group there")])
def test_without_two_there_is_no_interval(groups, said):
    assert caution(groups).startswith(said)
    assert "no interval" in caution(groups)


def test_enough_groups_need_none():
    assert caution(20) is None
