from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.core import Case, Geometry, Image, Label, LabelSet, Segmentation
from delineate.data import write_split
from delineate.data._splits import split_cases
from delineate.data._strata import _Content, _content

LABELS = LabelSet((Label("polyp", 1), Label("tool", 2)))
FEW = settings(max_examples=25, deadline=None)


def image() -> Image:
    return Image(np.zeros((1, 4, 4), np.uint8), Geometry.in_pixels((4, 4)))


def case(
    id: str, group: str | None = None, truth: np.ndarray | None = None, **columns: str
) -> Case:
    def load() -> Segmentation:
        assert truth is not None
        return Segmentation(truth, LABELS, Geometry.in_pixels(truth.shape))

    return Case(id, group or id, image, None if truth is None else load, columns=columns)


def ids(splits) -> dict[str, list[str]]:
    return {name: [c.id for c in cases] for name, cases in splits.items()}


sizes = st.lists(st.integers(1, 6), min_size=3, max_size=40)
names = st.sampled_from(["train", "val", "test"])
seeds = st.integers(0, 5)


def grouped(group_sizes: list[int]) -> list[Case]:
    return [
        case(f"{g:02}-{i}", f"patient{g}", site="ab"[g % 2])
        for g, n in enumerate(group_sizes)
        for i in range(n)
    ]


SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


@FEW
@given(sizes, seeds, st.sampled_from([None, "column:site"]), st.randoms())
def test_a_split_holds_every_case_once_and_keeps_groups_together(group_sizes, seed, by, random):
    cases = grouped(group_sizes)
    splits = split_cases(cases, SHARES, seed=seed, stratify=by)
    assert list(splits) == ["train", "val", "test"]
    assert sorted(c.id for part in splits.values() for c in part) == [c.id for c in cases]
    sides = [{c.group for c in part} for part in splits.values()]
    assert sum(len(s) for s in sides) == len(group_sizes)
    assert all(sides)
    random.shuffle(cases)
    assert ids(split_cases(cases, SHARES, seed=seed, stratify=by)) == ids(splits)


@FEW
@given(st.integers(3, 200), seeds)
def test_single_cases_fill_each_split_to_within_one_of_its_share(n, seed):
    splits = split_cases([case(f"{i:03}") for i in range(n)], SHARES, seed=seed)
    for name, share in SHARES.items():
        assert len(splits[name]) >= 1
        if n >= 20:  # below, the rule that no split is empty comes first
            assert abs(len(splits[name]) - share * n) < 1 + 1e-9


@FEW
@given(st.lists(st.integers(1, 4), min_size=8, max_size=40), seeds, st.sampled_from([0.0, 0.2]))
def test_folds_partition_what_is_not_test(group_sizes, seed, test):
    cases = grouped(group_sizes)
    runs = [
        split_cases(cases, {"folds": 4, "fold": k, **({"test": test} if test else {})}, seed=seed)
        for k in range(4)
    ]
    kept_out = {c.id for c in runs[0].get("test", ())}
    assert bool(kept_out) == bool(test)
    counts = Counter(c.id for run in runs for c in run["val"])
    assert counts == {c.id: 1 for c in cases if c.id not in kept_out}
    for run in runs:
        assert {c.id for c in run.get("test", ())} == kept_out
        assert {c.id for part in run.values() for c in part} == {c.id for c in cases}
        assert not {c.group for c in run["val"]} & {c.group for c in run["train"]}


def test_another_seed_is_another_split():
    cases = [case(f"{i:03}") for i in range(50)]
    assert ids(split_cases(cases, SHARES, seed=0)) != ids(split_cases(cases, SHARES, seed=1))


def test_large_groups_are_not_kept_for_training():
    cases = grouped([6] * 10 + [1] * 40)
    seen = [
        any(
            int(c.group.removeprefix("patient")) < 10
            for c in split_cases(cases, SHARES, seed=s)["test"]
        )
        for s in range(30)
    ]
    assert 5 < sum(seen) < 30


def test_the_split_of_a_seed_never_changes():
    found = ids(split_cases([case(f"{i}") for i in range(10)], SHARES, seed=0))
    assert (found["val"], found["test"]) == (["7"], ["9"])


def test_strata_keep_their_proportions():
    cases = [case(f"{i:03}", site="a" if i % 5 else "b") for i in range(100)]
    splits = split_cases(cases, SHARES, seed=3, stratify="column:site")
    counts = {name: Counter(c.columns["site"] for c in part) for name, part in splits.items()}
    assert counts == {
        "train": {"a": 64, "b": 16},
        "val": {"a": 8, "b": 2},
        "test": {"a": 8, "b": 2},
    }


def test_small_strata_still_add_up_to_the_shares():
    cases = [case(f"{i:03}", site=str(i // 4)) for i in range(100)]  # 25 sites of 4
    splits = split_cases(cases, SHARES, stratify="column:site")
    assert {name: len(part) for name, part in splits.items()} == {
        "train": 80,
        "val": 10,
        "test": 10,
    }


def test_stratified_by_labels_each_split_has_each_kind():
    def truth(polyp: int, tool: int) -> np.ndarray:
        return np.repeat(np.array([1, 2, 0], np.uint8), [polyp, tool, 16 - polyp - tool]).reshape(
            4, 4
        )

    kinds = [truth(0, 0), truth(2, 0), truth(5, 0), truth(9, 0), truth(0, 3), None]
    cases = [case(f"{i:03}", truth=kinds[i % 6]) for i in range(60)]
    splits = split_cases(cases, {"train": 0.5, "test": 0.5}, stratify="labels")
    for part in splits.values():
        kind = Counter(int(c.id) % 6 for c in part)
        assert kind == dict.fromkeys(range(6), 5)


def image_level(id: str, group: str | None = None, **present: bool | None) -> Case:
    def load() -> Segmentation:
        classes = np.zeros((4, 4), np.uint8)
        return Segmentation(
            classes, LABELS, Geometry.in_pixels((4, 4)), present=present, outlined=False
        )

    return Case(id, group or id, image, load)


@FEW
@given(st.integers(3, 8), st.integers(30, 120), seeds)
def test_a_rare_image_level_label_is_on_every_side_and_the_shares_stay(rare, count, seed):
    cases = [
        image_level(f"{i:03}", polyp=i % 3 == 0, tool=i < rare if i % 7 else None)
        for i in range(count)
    ]
    splits = split_cases(cases, SHARES, seed=seed, stratify="labels")
    plain = split_cases(cases, SHARES, seed=seed)
    for name, part in splits.items():
        shown = [case.truth.shows("tool") for case in part]
        if sum(c.truth.shows("tool") is True for c in cases) >= 3:
            assert True in shown
        assert abs(len(part) - len(plain[name])) <= 3
        assert any(case.truth.shows("polyp") for case in part)


def test_a_patient_with_one_rare_image_among_many_counts_as_rare():
    cases = [
        image_level(f"{p:02}-{i}", f"{p:02}", tool=i == 0 and p in (3, 8, 11))
        for p in range(12)
        for i in range(5)
    ]
    for part in split_cases(cases, {"a": 0.5, "b": 0.25, "c": 0.25}, stratify="labels").values():
        assert any(case.truth.shows("tool") for case in part)


def test_folds_have_a_rare_image_level_label_each():
    cases = [image_level(f"{i:03}", tool=i % 20 == 0) for i in range(100)]  # five show it
    for fold in range(5):
        splits = split_cases(cases, {"folds": 5, "fold": fold}, stratify="labels")
        assert sum(bool(c.truth.shows("tool")) for c in splits["val"]) == 1


def test_fractions_may_have_any_names():
    splits = split_cases([case(c) for c in "abcd"], {"learn": 0.5, "judge": 0.5})
    assert {name: len(part) for name, part in splits.items()} == {"learn": 2, "judge": 2}


def test_one_split_holds_all():
    assert ids(split_cases([case("b"), case("a")], {"test": 1})) == {"test": ["a", "b"]}


@pytest.mark.parametrize(
    "split",
    [
        {"train": 0.8, "val": 0.1},
        {"train": 1.1, "val": -0.1},
        {"train": 1.0, "val": 0.0},
        {},
        {"a": float("nan")},
    ],
)
def test_fractions_add_up(split):
    with pytest.raises(ValueError, match="expected fractions above 0 that sum to 1"):
        split_cases([case(c) for c in "abcdef"], split)


@pytest.mark.parametrize(
    "split",
    [
        {"folds": 1, "fold": 0},
        {"folds": 5, "fold": 5},
        {"folds": 2.5, "fold": 0},
        {"folds": float("inf"), "fold": 0},
        {"folds": 5, "val": 0.1},
        {"folds": 5, "fold": 0, "test": 1.0},
    ],
)
def test_folds_make_sense(split):
    with pytest.raises(ValueError, match="fold from 0 to folds - 1"):
        split_cases([case(c) for c in "abcdef"], split)


def test_an_empty_split_is_refused():
    cases = [case(c, "one patient") for c in "abcdef"]
    with pytest.raises(
        ValueError, match=r"6 cases of 1 groups cannot fill 3 splits \(train, val, test"
    ):
        split_cases(cases, SHARES)


def test_no_cases_are_refused():
    with pytest.raises(ValueError, match="0 cases of 0 groups"):
        split_cases([], SHARES)


def test_a_written_split_is_read_again(tmp_path: Path):
    cases = grouped([2, 1, 3, 1, 1, 4, 1, 1])
    splits = split_cases(cases, SHARES, seed=7)
    write_split(splits, tmp_path / "split.csv")
    assert ids(split_cases(cases, "split.csv", places=(tmp_path / "none", tmp_path))) == ids(splits)


def test_a_split_file_names_every_case_and_no_other(tmp_path: Path):
    (tmp_path / "split.csv").write_text("stem,split\na,train\nb,test\nz,test\n")
    with pytest.raises(
        ValueError, match=r"3 cases.*1 cases are not in it: c; 1 of its ids are not cases: z"
    ):
        split_cases([case(c) for c in "abc"], "split.csv", places=(tmp_path,))


def test_a_split_file_may_not_part_a_group(tmp_path: Path):
    (tmp_path / "split.csv").write_text("id,split\na,train\nb,test\n")
    with pytest.raises(ValueError, match="group 'p' is in two splits: a in train, b in test"):
        split_cases([case("a", "p"), case("b", "p")], "split.csv", places=(tmp_path,))


def test_a_split_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ValueError, match=f"split: no file 'split.csv'. Searched: {tmp_path}"):
        split_cases([case("a")], "split.csv", places=(tmp_path,))


def test_a_split_file_with_a_gap(tmp_path: Path):
    (tmp_path / "split.csv").write_text("id,split\na,train\nb,\n")
    with pytest.raises(ValueError, match="no split for 'b'"):
        split_cases([case("a"), case("b")], "split.csv", places=(tmp_path,))


def test_a_column_may_be_the_split():
    cases = [case("a", side="zoo"), case("b", side="train"), case("c", side="test")]
    splits = split_cases(cases, "column:side")
    assert ids(splits) == {"train": ["b"], "test": ["c"], "zoo": ["a"]}
    with pytest.raises(ValueError, match="There are: side; did you mean 'side'"):
        split_cases(cases, "column:sides")
    with pytest.raises(ValueError, match="empty for d"):
        split_cases([*cases, case("d", side="")], "column:side")


def test_stratifying_a_split_that_is_given_is_refused():
    with pytest.raises(ValueError, match="stratify is 'labels', but the split is given"):
        split_cases([case("a", side="x")], "column:side", stratify="labels")


def test_an_unknown_stratum_is_refused():
    with pytest.raises(ValueError, match="expected 'labels' or 'column:NAME'"):
        split_cases([case("a")], SHARES, stratify="size")


def test_the_area_of_a_label_and_of_its_part_is_counted_once():
    labels = LabelSet((Label("liver", 1, includes=("lesion",)), Label("lesion", 2)))
    classes = np.array([[1, 1, 2, 2], [0, 0, 0, 0]], np.uint8)
    truth = Segmentation(classes, labels, Geometry.in_pixels(classes.shape))
    one = Case("a", "a", image, lambda: truth)
    assert _content(one) == _Content(("liver", "lesion"), 0.5)
