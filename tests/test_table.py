import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.table import Row, Table


def table(*scores, groups=None, label="polyp"):
    groups = groups or [f"p{i}" for i in range(len(scores))]
    rows = tuple(
        Row(f"case {i}", group, label, 1, 2, 3, 4, 3, 4, 3.0, 4.0, "px²", {"dice": score})
        for i, (score, group) in enumerate(zip(scores, groups, strict=True))
    )
    return Table("test", ("dice",), rows)


def test_the_mean_leaves_nan_out_and_is_nan_of_nothing():
    assert table(0.5, math.nan, 1.0).means() == {"polyp": {"dice": 0.75}}
    assert math.isnan(table(math.nan).means()["polyp"]["dice"])


def test_pooled_scores_come_from_summed_counts():
    rows = (
        Row("small", "a", "polyp", tp=1, fp=0, fn=1, tn=8, scores={"dice": 2 / 3}),
        Row("large", "b", "polyp", tp=90, fp=10, fn=0, tn=0, scores={"dice": 180 / 190}),
        Row("large", "b", "all", scores={}),
    )
    pooled = Table("test", ("dice",), rows).pooled()
    assert pooled == {"polyp": {"dice_pooled": 182 / 193, "iou_pooled": 91 / 102}}


def test_pooled_scores_of_nothing_are_nan():
    empty = Table("test", ("dice",), (Row("a", "a", "polyp", 0, 0, 0, 9, scores={}),))
    assert all(math.isnan(v) for v in empty.pooled()["polyp"].values())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 5))
def test_the_interval_holds_the_extremes_apart_and_repeats(scores, seed):
    low, high = table(*scores).intervals("dice", "polyp", seed=seed, resamples=200)
    assert min(scores) - 1e-12 <= low <= high <= max(scores) + 1e-12
    again = table(*scores).intervals("dice", "polyp", seed=seed, resamples=200)
    assert (low, high) == again


def test_the_interval_has_the_width_that_theory_gives():
    scores = np.random.default_rng(3).normal(0.7, 0.1, 400)
    low, high = table(*scores).intervals("dice", "polyp")
    half = 1.96 * scores.std() / math.sqrt(400)
    assert (low, high) == pytest.approx(
        (scores.mean() - half, scores.mean() + half), abs=0.1 * half
    )


def test_the_interval_agrees_with_a_plain_loop_over_groups():
    scores = [0.1, 0.2, 0.9, math.nan, 0.4, 0.8]
    groups = ["b", "b", "a", "a", "c", "c"]
    rng = np.random.default_rng(7)
    by_group = {"a": [0.9], "b": [0.1, 0.2], "c": [0.4, 0.8]}
    means = []
    for _ in range(300):
        drawn = [list(by_group.values())[i] for i in rng.integers(3, size=3)]
        means.append(np.mean(np.concatenate(drawn)))
    found = table(*scores, groups=groups).intervals("dice", "polyp", seed=7, resamples=300)
    assert found == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_many_groups_are_resampled_in_parts_with_the_same_result(monkeypatch):
    scores = list(np.linspace(0, 1, 2000))
    found = table(*scores).intervals("dice", "polyp", resamples=1100)  # 2 parts of at most 524
    rng = np.random.default_rng(0)
    # Groups are taken in the order of their names.
    order = np.argsort([f"p{i}" for i in range(2000)])
    drawn = rng.integers(2000, size=(1100, 2000))
    means = np.array(scores)[order][drawn].mean(axis=1)
    assert found == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_cases_of_one_patient_give_no_interval():
    one = table(0.1, 0.9, groups=["p", "p"])
    assert all(math.isnan(end) for end in one.intervals("dice", "polyp"))


def test_scores_are_plain_json_and_count_what_is_empty():
    rows = (
        Row("a", "p", "polyp", 5, 0, 0, 5, 5, 5, 5.0, 5.0, "px²", {"dice": 1.0}),
        Row("b", "q", "polyp", 0, 0, 0, 10, 0, 0, 0.0, 0.0, "px²", {"dice": math.nan}),
        Row("c", "q", "polyp", 0, 4, 0, 6, 4, 0, 4.0, 0.0, "px²", {"dice": 0.0}),
    )
    scores = Table("val", ("dice",), rows).scores()
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert (scores["split"], scores["cases"], scores["groups"]) == ("val", 3, 2)
    polyp = scores["labels"]["polyp"]
    assert (polyp["cases"], polyp["empty_truth"], polyp["empty_found"]) == (3, 2, 1)
    assert polyp["metrics"]["dice"]["cases"] == 2
    assert polyp["metrics"]["dice"]["mean"] == polyp["metrics"]["dice"]["median"] == 0.5
    assert polyp["metrics"]["dice"]["interval"] == [0.0, 1.0]
    assert polyp["pooled"]["dice_pooled"] == 10 / 14
    assert "left out" in scores["empty_rule"]


def test_scores_of_nothing_are_none():
    dice = table(math.nan).scores()["labels"]["polyp"]["metrics"]["dice"]
    assert dice == {"cases": 0, "mean": None, "interval": [None, None], "median": None}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=5), st.text(max_size=8))
def test_save_and_load_give_the_same_table(tmp_path_factory, scores, name):
    name = name.encode("utf-8", "ignore").decode().replace("\0", "")
    path = tmp_path_factory.mktemp("table") / "cases.csv"
    rows = (
        *table(*scores, label=f"polyp, {name}").rows,
        Row(name, "p", "all", unit="px²", scores={"pixel_accuracy": 0.25}),
    )
    saved = Table("test", ("dice", "pixel_accuracy"), rows)
    saved.save(path)
    loaded = Table.load(path)
    assert repr(loaded) == repr(saved)  # repr, because NaN differs from itself
    assert [p.name for p in path.parent.iterdir()] == ["cases.csv"]


def test_load_says_what_is_wrong(tmp_path):
    path = tmp_path / "cases.csv"
    path.write_text("case,dice\na,0.5\n")
    with pytest.raises(ValueError, match=r"cases\.csv: no column 'split'"):
        Table.load(path)
    table(0.5).save(path)
    text = path.read_text()
    path.write_text(text.replace("0.5", "half"))
    with pytest.raises(ValueError, match=r"cases\.csv: .*'half'"):
        Table.load(path)
    path.write_text(text + text.splitlines()[1].replace("test", "val") + "\n")
    with pytest.raises(ValueError, match="the splits test, val"):
        Table.load(path)
