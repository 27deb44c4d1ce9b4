import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.evaluation.stats import clopper_pearson
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally, Traits, empty_rule, pool, traits_of
from delineate.metrics.hd95 import hd95
from delineate.resolve import resolve

few = settings(max_examples=20, deadline=None)


def table(*scores, groups=None, label="polyp", traits=None):
    groups = groups or [f"p{i}" for i in range(len(scores))]
    rows = tuple(
        Row(f"case {i}", group, label, 1, 2, 3, 4, 3, 4, 3.0, 4.0, "px²", {"dice": score})
        for i, (score, group) in enumerate(zip(scores, groups, strict=True))
    )
    return Table("test", ("dice",), rows, traits or {})


def tallied(*parts, metric="dice", columns=(), sizes=None):
    """One case per part and whole."""
    columns = columns or [{}] * len(parts)
    sizes = sizes or [float(whole) for _, whole in parts]
    rows = tuple(
        Row(f"case {i}", f"p{i}", "polyp", prediction_samples=part, truth_samples=int(size), truth_size=size,
            unit="mm³", scores={metric: Tally("ratio", (part, whole))}, columns=about)
        for i, ((part, whole), about, size) in enumerate(zip(parts, columns, sizes, strict=True))
    )  # fmt: skip
    return Table("test", (metric,), rows)


def test_the_mean_leaves_nan_out_and_is_nan_of_nothing():
    assert table(0.5, math.nan, 1.0).means() == {"polyp": {"dice": 0.75}}
    assert table(0.5, math.nan, 1.0).median("polyp", "dice") == 0.75
    assert math.isnan(table(math.nan).means()["polyp"]["dice"])


def test_cases_groups_and_labels_come_in_order():
    rows = (Row("b", "q", "polyp"), Row("b", "q", "all"), Row("a", "q", "polyp"))
    found = Table("test", (), rows)
    assert (found.cases, found.groups, found.labels) == (("b", "a"), ("q",), ("polyp", "all"))
    assert found.rows_of("polyp") == [rows[0], rows[2]]
    assert found.rows_of("liver") == ()


def test_pooled_scores_are_read_from_what_cases_add_up_to():
    scores = tallied((1, 2), (90, 100), (0, 0))
    assert scores.pooled("polyp", "dice") == 91 / 102
    assert scores.tallies("polyp", "dice") == [r.scores["dice"] for r in scores.rows[:2]] + [
        pytest.approx(math.nan, nan_ok=True)
    ]
    assert math.isnan(tallied((0, 0)).pooled("polyp", "dice"))


def test_plain_scores_are_not_pooled():
    assert table(0.5, 0.7).pooled("polyp", "dice") is None
    assert table(0.5).pooled("polyp", "iou") is None
    assert table(0.5, Tally("ratio", (1, 2))).pooled("polyp", "dice") is None
    assert not table(0.5, 0.7).interval("polyp", "dice", over="pooled").known


@few
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 5))
def test_the_interval_holds_the_mean_stays_in_range_and_repeats(scores, seed):
    low, high = table(*scores).interval("polyp", "dice", seed=seed, resamples=200)
    assert 0 <= low <= np.mean(scores) + 1e-12
    assert np.mean(scores) - 1e-12 <= high <= 1
    assert low < high
    assert table(*scores).interval("polyp", "dice", seed=seed, resamples=200) == (low, high)


def test_the_interval_of_the_mean_draws_the_groups_that_have_a_score():
    scores = [0.1, 0.2, 0.9, math.nan, 0.4, 0.8, math.nan]
    groups = ["b", "b", "a", "a", "c", "c", "d"]
    rng = np.random.default_rng(7)
    by_group = [[0.9], [0.1, 0.2], [0.4, 0.8]]
    means = [
        np.mean(np.concatenate([by_group[i] for i in rng.integers(3, size=3)])) for _ in range(300)
    ]
    how = {"seed": 7, "resamples": 300, "method": "percentile"}
    found = table(*scores, groups=groups).interval("polyp", "dice", **how)
    assert found == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_the_interval_of_the_pooled_score_is_wider_where_one_case_is_most_of_it():
    parts = [(40, 100)] + [(9, 10)] * 9
    of_mean = tallied(*parts).interval("polyp", "dice")
    pooled = tallied(*parts).interval("polyp", "dice", over="pooled")
    assert tallied(*parts).pooled("polyp", "dice") in pooled
    assert pooled.low < 0.5 < 0.65 < of_mean.low


def test_other_methods_and_seeds_give_other_intervals():
    scores = table(*np.random.default_rng(0).beta(8, 1, 40))
    asked = ({}, {"seed": 1}, {"method": "bca"}, {"resamples": 500})
    assert len({scores.interval("polyp", "dice", **how) for how in asked}) == 4
    assert scores.interval("polyp", "dice") is scores.interval("polyp", "dice")


def test_cases_of_one_patient_give_no_interval():
    assert not table(0.1, 0.9, groups=["p", "p"]).interval("polyp", "dice").known


def test_a_metric_read_pooled_only_has_no_mean():
    scores = tallied((1, 2), (3, 4), metric="mask_ap")
    scores = Table("test", scores.metrics, scores.rows, {"mask_ap": Traits(pooled_only=True)})
    assert scores.means() == {"polyp": {}}
    found = scores.scores()["labels"]["polyp"]["metrics"]["mask_ap"]
    assert (found["mean"], found["median"], found["interval"]) == (None, None, [None, None])
    assert found["pooled"] == pytest.approx(4 / 6)
    assert None not in found["pooled_interval"]


def test_what_a_metric_is_stands_in_its_file_and_of_one_that_is_not_ours_more_is_better():
    errors = {"far": Traits(lower_is_better=True, unit="length", range=None)}
    found = Table("test", ("os:getcwd", "far", "hd95"), (), errors)
    assert found.traits == {"os:getcwd": Traits(), **errors, "hd95": traits_of(hd95)}


def test_columns_with_few_values_part_the_cases():
    columns = [{"site": "A", "id": str(i), "era": "x"} for i in range(13)]
    columns[3:6] = [{"site": "B", "id": "3", "era": "x"}] * 3
    columns[12] = {}
    scores = tallied(*[(i, 20) for i in range(13)], columns=columns)
    assert scores.columns == ("site",)  # an id says who somebody is; one era tells nothing apart
    parts = scores.subgroups("site")
    assert {site: len(part.cases) for site, part in parts.items()} == {"A": 9, "B": 3}
    assert parts["B"].mean("polyp", "dice") == pytest.approx(4 / 20)
    assert parts["B"].pooled("polyp", "dice") == pytest.approx(12 / 60)
    with pytest.raises(ValueError, match="no case has a column 'device'; there are era, id, site"):
        scores.subgroups("device")
    with pytest.raises(ValueError, match="no column is known"):
        table(0.5).subgroups("device")


def test_a_table_from_elsewhere_has_the_subgroups_that_evaluate_would_have_kept():
    """The rule is one: whoever made the table, names are no kind of case, nor is what tells each patient apart."""
    columns = [
        {"PatientName": "AB"[i % 2], "site": "CD"[i % 2], "who": f"{i}", "rare": "x" if i else "y"}
        for i in range(4)
    ]
    scores = tallied(*[(i, 20) for i in range(4)], columns=columns)
    assert scores.columns == ("site",)
    assert list(scores.every_subgroup(scores.labels)) == ["site"]
    assert set(scores.scores(resamples=10)["subgroups"]) == {"site"}


def test_sizes_part_the_cases_in_thirds():
    sizes = [5.0, 0.0, 900.0, 1234.5, 7.5, 30.0, 31.0]
    scores = tallied(*[(1, 2)] * 7, sizes=sizes)
    parts = scores.by_size("polyp")
    assert {words: part.cases for words, part in parts.items()} == {
        "small: up to 7.5 mm³": ("case 0", "case 4"),
        "medium: 30 to 31 mm³": ("case 5", "case 6"),
        "large: from 900 mm³": ("case 2", "case 3"),
    }
    assert list(scores.by_size("polyp", 2)) == ["1 of 2: up to 30 mm³", "2 of 2: from 31 mm³"]
    assert scores.by_size("liver") == {}
    with pytest.raises(ValueError, match="parts is 1"):
        scores.by_size("polyp", 1)


@few
@given(st.lists(st.floats(0.1, 1e6), max_size=40), st.integers(2, 5))
def test_every_case_with_a_size_is_in_one_part_and_parts_do_not_overlap(sizes, parts):
    scores = tallied(*[(1, 2)] * len(sizes), sizes=sizes)
    split = [
        [row.truth_size for row in part.rows] for part in scores.by_size("polyp", parts).values()
    ]
    assert split == [] or sorted(sizes) == [size for part in split for size in part]
    assert all(a[-1] < b[0] for a, b in pairwise(split))


def test_sizes_that_are_nearly_all_the_same_are_not_parted():
    assert tallied(*[(1, 2)] * 9, sizes=[5.0] * 7 + [1.0, 2.0]).by_size("polyp") == {}
    ends = tallied(*[(1, 2)] * 9, sizes=[5.0] * 5 + [1.0, 2.0, 8.0, 9.0]).by_size("polyp")
    assert list(ends) == ["small: up to 5 mm³", "large: from 8 mm³"]


def test_sizes_in_several_units_are_not_compared():
    rows = [Row(str(i), str(i), "polyp", truth_size=1.0 + i, unit=unit) for i, unit in
            enumerate(["mm³", "mm³", "px²", "mm³"])]  # fmt: skip
    assert Table("test", (), tuple(rows)).by_size("polyp") == {}


def test_scores_are_plain_json_and_count_what_is_empty():
    rows = (
        Row("a", "p", "polyp", 5, 0, 0, 5, 5, 5, 5.0, 5.0, "px²", {"dice": Tally("ratio", (10, 10))}),
        Row("b", "q", "polyp", 0, 0, 0, 10, 0, 0, 0.0, 0.0, "px²", {"dice": Tally("ratio", (0, 0))}),
        Row("c", "q", "polyp", 0, 4, 0, 6, 4, 0, 4.0, 0.0, "px²", {"dice": Tally("ratio", (0, 4))}),
    )  # fmt: skip
    found = Table(
        "val",
        ("dice", "far"),
        rows,
        {"far": Traits(lower_is_better=True, unit="length", range=None)},
    )
    scores = found.scores()
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert (scores["split"], scores["cases"], scores["groups"]) == ("val", 3, 2)
    assert scores["metrics"] == {
        "dice": {
            "lower_is_better": False, "unit": "", "range": [0, 1],
            "empty": {"truth": 0, "prediction": 0, "both": None, "note": ""},
        },
        "far": {"lower_is_better": True, "unit": "px", "range": None, "empty": None},
    }  # fmt: skip
    polyp = scores["labels"]["polyp"]
    assert [polyp[n] for n in ("cases", "empty_truth", "empty_found", "only_one_empty")] == [
        3,
        2,
        1,
        1,
    ]
    assert polyp["metrics"] == {
        "dice": {
            "cases": 2, "groups": 2, "left_out": {"cases": 1, "only_prediction": 0, "only_truth": 0},
            "mean": 0.5, "median": 0.5,
            "interval": pytest.approx([0.0, 1.0], abs=1e-6),
            "pooled": 10 / 14, "pooled_interval": pytest.approx([0.0, 1.0], abs=1e-6),
        }
    }  # fmt: skip
    # ALGORITHMS g.3: three answers to the same empties, each by its name.
    assert polyp["dice_mean_nonempty"] == 1.0
    assert polyp["dice_mean_empty1"] == pytest.approx(2 / 3)
    assert scores["empty_rule"] == empty_rule(found.traits)
    assert scores["interval"].startswith(
        "95 %, t interval for few groups, cluster bootstrap: 2000 resamples of whole groups"
    )


def test_scores_of_nothing_are_none():
    dice = table(math.nan).scores()["labels"]["polyp"]["metrics"]["dice"]
    assert dice == {
        "cases": 0, "groups": 0, "left_out": {"cases": 1, "only_prediction": 0, "only_truth": 0},
        "mean": None, "interval": [None, None], "median": None,
        "pooled": None, "pooled_interval": [None, None],
    }  # fmt: skip


def test_scores_come_by_kind_of_case_too():
    columns = [{"site": "AB"[i % 2]} for i in range(12)]
    scores = tallied(*[(i, 12 + i) for i in range(12)], columns=columns).scores(resamples=100)
    assert list(scores["subgroups"]) == ["site", "size of polyp"]
    site = scores["subgroups"]["site"]["B"]
    assert (site["cases"], site["groups"]) == (6, 6)
    dice = site["labels"]["polyp"]["dice"]
    assert dice["cases"] == 6
    assert dice["mean"] == pytest.approx(np.mean([i / (12 + i) for i in range(1, 12, 2)]))
    assert dice["interval"][0] <= dice["mean"] <= dice["interval"][1]
    assert len(scores["subgroups"]["size of polyp"]) == 3


def test_a_share_of_lesions_draws_patients_also_where_all_or_none_are_detected():
    """Lesions of a patient are not independent: 12 of 12 in four patients is 4 of 4."""
    for hits in (0, 3):
        scores = tallied(*[(hits, 3), (0, 0)] * 4, metric="lesion_recall").scores(resamples=100)
        found = scores["labels"]["polyp"]["metrics"]["lesion_recall"]
        assert "exact_interval" not in {*found, *scores}
        assert found["pooled_interval"] == pytest.approx(clopper_pearson(4 * hits // 3, 4))


def test_patients_without_a_lesion_are_not_counted_for_the_pooled_interval():
    some, with_others = (
        tallied((1, 3), (4, 5), (2, 2), *more, metric="lesion_recall")
        .interval("polyp", "lesion_recall", over="pooled", resamples=4000)
        for more in ([], [(0, 0)] * 30)
    )  # fmt: skip
    assert some == pytest.approx(tuple(with_others), abs=0.02)


def test_a_distance_has_an_interval_above_zero():
    distance = Traits(lower_is_better=True, unit="length", range=None)
    near = table(*np.random.default_rng(0).lognormal(0, 2, 5), traits={"dice": distance})
    low, high = near.interval("polyp", "dice")
    assert 0 < low < near.mean("polyp", "dice") < high


def test_the_caution_is_that_of_the_label_with_the_fewest_groups():
    rows = [Row(f"c{i}", f"p{i}", "liver", scores={"dice": 0.1 * (i % 9)}) for i in range(30)]
    few = [Row(f"c{i}", f"p{i}", "tumour", scores={"dice": 0.1 * i}) for i in range(4)]
    said = Table("test", ("dice",), (*rows, *few)).scores(resamples=10)
    assert said["caution"].startswith("For tumour: with 4 groups an interval is uncertain.")
    assert said["labels"]["tumour"]["metrics"]["dice"]["groups"] == 4
    assert Table("test", ("dice",), tuple(rows)).scores(resamples=10)["caution"] is None


def test_the_method_can_be_chosen():
    scores = table(*np.random.default_rng(0).beta(8, 1, 40))
    said = scores.scores(method="bca", seed=3, resamples=500)
    assert said["interval"] == "95 %, BCa bootstrap: 500 resamples of whole groups, seed 3"
    expected = scores.interval("polyp", "dice", method="bca", seed=3, resamples=500)
    assert said["labels"]["polyp"]["metrics"]["dice"]["interval"] == list(expected)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
ratios = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda parts: Tally("ratio", parts))
curves = st.integers(1, 3).map(
    lambda n: Tally.of(0.25, "ratio", np.full((2, n), n / 3, dtype=np.float32))
)
scored = st.dictionaries(
    st.sampled_from(["dice", "mine(a=1)"]), st.floats(0, 1) | st.just(math.nan) | ratios | curves
)


@few
@given(
    st.lists(st.tuples(words, scored, st.dictionaries(words, words, max_size=2)), max_size=5),
    st.booleans(),
)
def test_save_and_load_give_the_same_table(tmp_path_factory, made, traits):
    path = tmp_path_factory.mktemp("table") / "cases.csv"
    rows = tuple(
        Row(f"{i} {name}", name, "polyp, large", 1, 2, 3, 4, 3, 4, 0.1, 1 / 3, "px²", scores, columns, "a0" * (i % 2))
        for i, (name, scores, columns) in enumerate(made)
    )  # fmt: skip
    known = {"mine(a=1)": Traits(lower_is_better=True, unit="length", range=None)} if traits else {}
    saved = Table("test" if rows else "", ("dice", "mine(a=1)"), rows, known)
    saved.save(path)
    loaded = Table.load(path)
    assert replace(loaded, rows=()) == replace(saved, rows=())
    for before, after in zip(saved.rows, loaded.rows, strict=True):
        assert replace(after, scores={}) == replace(before, scores={})
        assert after.scores.keys() == before.scores.keys()
        for metric, score in before.scores.items():
            again = after.scores[metric]
            assert again == score or (math.isnan(again) and math.isnan(score))
            assert type(again) is type(score)
            if isinstance(score, Tally):
                assert again.kind == score.kind
                assert again.parts.dtype == score.parts.dtype
                assert again.parts.shape == score.parts.shape
                assert (again.parts == score.parts).all()


def test_a_table_of_plain_scores_is_one_file(tmp_path):
    path = tmp_path / "cases.csv"
    tallied((1, 2)).save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cases.csv", "cases.tallies.npz"]
    table(0.5, traits={"dice": traits_of(resolve("metrics", "dice"))}).save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["cases.csv"]


def test_a_table_is_readable_by_people(tmp_path):
    columns = [{"site": "A"}, {"device": "X, Y"}]
    tallied((1, 2), (0, 0), columns=columns).save(tmp_path / "cases.csv")
    assert (tmp_path / "cases.csv").read_text().splitlines() == [
        "split,case,group,label,tp,fp,fn,tn,prediction_samples,truth_samples,prediction_size,truth_size,unit,truth_digest,"
        "prediction_ml,truth_ml,column:site,column:device,dice",
        "test,case 0,p0,polyp,,,,,1,2,,2.0,mm³,,,0.002,A,,0.5",
        'test,case 1,p1,polyp,,,,,0,0,,0.0,mm³,,,0.0,,"X, Y",nan',
    ]


def test_without_the_file_beside_it_scores_are_plain_and_the_house_knows_its_metrics(tmp_path):
    path = tmp_path / "cases.csv"
    saved = tallied((1, 2), (3, 4), metric="volume_error")
    saved.save(path)
    (tmp_path / "cases.tallies.npz").unlink()
    loaded = Table.load(path)
    assert [row.scores for row in loaded.rows] == [{"volume_error": 0.5}, {"volume_error": 0.75}]
    assert loaded.pooled("polyp", "volume_error") is None
    assert loaded.traits["volume_error"] == traits_of(resolve("metrics", "volume_error"))
    path.write_text(path.read_text().replace("volume_error", "os:getcwd"))
    assert Table.load(path).traits == {"os:getcwd": Traits()}  # nothing is imported to read a table


def test_rows_in_another_order_keep_their_tallies(tmp_path):
    path = tmp_path / "cases.csv"
    tallied((1, 2), (2, 4), (3, 4)).save(path)
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(lines)]) + "\n")
    loaded = Table.load(path)
    assert [tuple(t.parts) for t in loaded.tallies("polyp", "dice")] == [(3, 4), (2, 4), (1, 2)]
    assert loaded.pooled("polyp", "dice") == pool(loaded.tallies("polyp", "dice")) == 0.6


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


def test_load_refuses_what_lies_beside_another_table(tmp_path):
    path = tmp_path / "cases.csv"
    tallied((1, 2)).save(path)
    text = path.read_text()
    for wrong in (
        text.replace("0.5", "0.6"),
        text.replace("0.5", "nan"),
        text.replace("case 0", "case 1"),
    ):
        path.write_text(wrong)
        with pytest.raises(
            ValueError, match=r"tallies\.npz: its dice of case 0, polyp is not that of"
        ):
            Table.load(path)
    path.write_text(text)
    (tmp_path / "cases.tallies.npz").write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"tallies\.npz: cannot be read .* Evaluate again"):
        Table.load(path)


def test_a_table_of_old_knows_no_digests(tmp_path):
    path = tmp_path / "cases.csv"
    table(0.5).save(path)
    path.write_text(path.read_text().replace(",truth_digest", "").replace("px²,,", "px²,"))
    assert Table.load(path) == table(0.5)


def test_a_score_that_is_not_known_is_not_that_of_another_table(tmp_path):
    path = tmp_path / "cases.csv"
    tallied((0, 0)).save(path)
    assert math.isnan(Table.load(path).mean("polyp", "dice"))
    path.write_text(path.read_text().replace("nan", "0.5"))
    with pytest.raises(ValueError, match=r"tallies\.npz: its dice of case 0, polyp is not that of"):
        Table.load(path)


def test_load_refuses_tables_that_were_put_together_or_cut(tmp_path):
    path = tmp_path / "cases.csv"
    table(0.5, 0.6).save(path)
    text = path.read_text()
    path.write_text(text + text.splitlines()[1].replace("0.5", "0.7") + "\n")
    with pytest.raises(ValueError, match=r"cases\.csv, line 4: case 0, polyp is in line 2 already"):
        Table.load(path)
    for wrong in (text.replace("0.6", "0.6,0.7"), text.replace(",0.6", "")):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"cases\.csv, line 3: the number of fields is not"):
            Table.load(path)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\x01", b"split,case\ngr\xfc\xdfe,1\n"])
def test_load_refuses_what_is_no_text(tmp_path, data):
    path = tmp_path / "cases.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"cases\.csv: is not CSV in UTF-8 .*expected a table"):
        Table.load(path)


@pytest.mark.parametrize("name", ["label", "split", "truth_digest", "column:site"])
def test_a_metric_is_not_called_like_a_column(tmp_path, name):
    path = tmp_path / "cases.csv"
    with pytest.raises(ValueError, match=f"the metric '{name}' has the name of a fixed column"):
        tallied((1, 2), metric=name).save(path)
    assert not list(tmp_path.iterdir())


def test_few_groups_are_read_with_care():
    assert table(0.5, 0.6, 0.7).scores()["caution"].startswith("With 3 groups")
    assert table(*[0.5] * 20).scores(resamples=10)["caution"] is None


def test_a_table_of_an_earlier_version_is_read_with_what_the_house_knows_today(tmp_path):
    """It told less of a metric, in other words, and called the pooled forms otherwise."""
    path = tmp_path / "cases.csv"
    parts = np.array([[4.0, 6.0], [1.0, 5.0], [2.0, 4.0]])
    rows = tuple(Row(c, c, "polyp", scores={"ece": Tally("ece", parts)}) for c in "ab")
    Table("test", ("ece",), rows, {}, independent=True).save(path)
    beside = tmp_path / "cases.tallies.npz"
    with np.load(beside) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))
    about["sets"] = [["ece", "calibration"]]
    about["traits"] = {
        "ece": {
            "lower_is_better": True, "unit": "", "range": [0.0, 1.0], "needs": "probabilities",
            "pooled_only": False, "one_on_itself": True, "signed": False,
            "empty": {"truth": None, "prediction": "scored", "both": None, "note": ""},
        }
    }  # fmt: skip
    np.savez_compressed(beside, **(arrays | {"about": np.array(json.dumps(about))}))
    again = Table.load(path)
    known = traits_of(resolve("metrics", "ece"))
    assert again.traits["ece"] == replace(known, empty=replace(known.empty, note=""))
    assert again.pooled("polyp", "ece") == pytest.approx((1 + 1) / 10)


def sized(unit, *pairs):
    """A table with a case for each pair of sizes: predicted, true."""
    rows = [
        Row(f"c{i}", f"p{i}", "liver", prediction_samples=1, truth_samples=1, prediction_size=found,
            truth_size=true, unit=unit, scores={"dice": 0.5})
        for i, (found, true) in enumerate(pairs)
    ]  # fmt: skip
    return Table("test", ("dice",), tuple(rows))


def test_sizes_are_summed_up_in_millilitres():
    size = sized("mm³", (2000.0, 1000.0), (5000.0, 3000.0), (0.0, 0.0)).scores()["labels"]["liver"][
        "size"
    ]
    assert (size["unit"], size["cases"]) == ("ml", 2)  # where both masks are empty there is no size
    assert (size["prediction"], size["truth"], size["difference"]) == (3.5, 2.0, 1.5)
    low, high = size["limits_of_agreement"]
    assert (low + high) / 2 == pytest.approx(1.5)


def test_areas_are_in_square_centimetres_and_pixels_have_no_size():
    size = sized("mm²", (200.0, 100.0)).scores()["labels"]["liver"]["size"]
    assert (size["unit"], size["difference"]) == ("cm²", 1.0)
    assert (size["interval"], size["limits_of_agreement"]) == ([None, None], [None, None])
    assert "size" not in sized("px²", (200.0, 100.0)).scores()["labels"]["liver"]


def test_millilitres_in_the_file_are_for_its_reader_only(tmp_path):
    table = sized("mm³", (2000.0, 1000.4), (5000.0, 3000.0))
    table.save(tmp_path / "cases.csv")
    header, first, *_ = (tmp_path / "cases.csv").read_text().splitlines()
    line = dict(zip(header.split(","), first.split(","), strict=True))
    assert (line["prediction_ml"], line["truth_ml"]) == ("2.0", "1.0")
    assert Table.load(tmp_path / "cases.csv") == table
    sized("px²", (1.0, 1.0)).save(tmp_path / "flat.csv")
    assert "_ml" not in (tmp_path / "flat.csv").read_text()
