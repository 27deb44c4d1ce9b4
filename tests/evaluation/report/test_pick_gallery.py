import math

from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.evaluation.report import pick_gallery
from delineate.evaluation.table import Row, Table
from delineate.metrics import Traits


def table(scores):
    rows = [Row(f"c{i}", "g", "polyp", scores={"dice": score}) for i, score in enumerate(scores)]
    return Table("test", ("dice",), tuple(rows))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=40), st.integers(1, 7))
def test_each_case_once_and_in_order(scores, count):
    picked = pick_gallery(table(scores), "dice", "polyp", count)
    value = {f"c{i}": score for i, score in enumerate(scores)}
    shown = [value[case] for kind in ("worst", "median", "best") for case in picked[kind]]
    assert shown == sorted(shown)
    cases = [case for kind in picked.values() for case in kind]
    known = [score for score in scores if score == score]
    assert len(cases) == len(set(cases)) == min(len(known), 3 * count)
    if known:
        assert shown[0] == min(known)


def test_the_worst_the_middle_and_the_best():
    picked = pick_gallery(table([i / 100 for i in range(101)]), "dice", "polyp", 3)
    assert picked == {
        "worst": ["c0", "c1", "c2"],
        "median": ["c49", "c50", "c51"],
        "best": ["c98", "c99", "c100"],
    }


def test_several_labels_place_a_case_by_their_mean():
    rows = [
        Row(case, case, label, scores={"dice": score})
        for case, label, score in (
            ("a", "liver", 0.9), ("a", "tumour", 0.1),
            ("b", "liver", 0.4), ("b", "tumour", math.nan),
            ("c", "liver", 0.8), ("c", "tumour", 0.8),
        )
    ]  # fmt: skip
    many = Table("test", ("dice",), tuple(rows))
    assert pick_gallery(many, "dice") == {"worst": ["b"], "median": ["a"], "best": ["c"]}
    assert pick_gallery(many, "dice", "tumour") == {"worst": ["a"], "median": [], "best": ["c"]}


def test_the_worst_of_a_distance_is_the_largest_and_of_an_error_the_one_furthest_from_0():
    rows = tuple(
        Row(case, case, "polyp", scores={"hd95": distance, "volume_error": error})
        for case, distance, error in (("a", 3.0, -0.9), ("b", 9.0, 0.1), ("c", 5.0, 0.5))
    )
    known = {"hd95": Traits(lower_is_better=True), "volume_error": Traits(signed=True)}
    of = Table("test", ("hd95", "volume_error"), rows, known)
    assert pick_gallery(of, "hd95") == {"worst": ["b"], "median": ["c"], "best": ["a"]}
    assert pick_gallery(of, "volume_error") == {"worst": ["a"], "median": ["c"], "best": ["b"]}
