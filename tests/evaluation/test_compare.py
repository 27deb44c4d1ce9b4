import csv
import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delineate.evaluation.compare import compare
from delineate.evaluation.stats import bootstrap, holm, weighted_mean, wilcoxon
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally, Traits, pool

ERROR = Traits(lower_is_better=True, unit="length", range=None)


def table(
    scores, *, groups=None, metric="dice", traits=None, columns=None, prediction=9, label="polyp"
):
    """One case per score; the object of the i-th case has 10 + i samples."""
    n = len(scores)
    groups = groups or [f"p{i}" for i in range(n)]
    rows = tuple(
        Row(f"case {i}", groups[i], label, prediction_samples=prediction, truth_samples=10 + i, truth_size=10.0 + i,
            unit="px²", scores={metric: scores[i]}, columns=(columns or [{}] * n)[i])
        for i in range(n)
    )  # fmt: skip
    return Table("test", (metric,), rows, {metric: traits or Traits()})


def ratios(*parts, **how):
    return table([Tally("ratio", pair) for pair in parts], **how)


def only(comparison):
    (difference,) = comparison.differences
    return difference


def test_the_difference_is_taken_case_by_case_and_whole_groups_are_drawn():
    rng = np.random.default_rng(0)
    a = rng.uniform(0.5, 0.9, 40)
    b = a + rng.normal(0.03, 0.02, 40)
    groups = [f"p{i // 2:02}" for i in range(40)]
    found = only(compare({"old": table(a, groups=groups), "new": table(b, groups=groups)}))
    assert (found.against, found.name, found.label, found.metric) == ("old", "new", "polyp", "dice")
    assert (found.cases, found.groups) == (40, 20)
    assert found.scores == pytest.approx((a.mean(), b.mean()))
    assert found.mean == pytest.approx((b - a).mean())
    expected = bootstrap(partial(weighted_mean, b - a), groups, bounds=(-1, 1))
    assert found.interval == pytest.approx(tuple(expected))
    assert found.p == pytest.approx(wilcoxon((b - a).reshape(20, 2).mean(axis=1)))
    assert (found.better, found.shown) == ("new", True)
    # Pairing is what tells them apart: the intervals of the two means overlap.
    assert table(a).interval("polyp", "dice").high > table(b).interval("polyp", "dice").low


def test_the_pooled_difference_is_read_anew_from_every_resample():
    rng = np.random.default_rng(1)
    whole = rng.integers(20, 200, 30)
    parts = [np.stack([rng.binomial(whole, p), whole], axis=1) for p in (0.6, 0.7)]
    found = only(compare({"a": ratios(*parts[0]), "b": ratios(*parts[1])}, resamples=300))

    def apart(weights):
        sums = [weights @ part for part in parts]
        return sums[1][:, 0] / sums[1][:, 1] - sums[0][:, 0] / sums[0][:, 1]

    groups = [f"p{i}" for i in range(30)]
    drawn = bootstrap(apart, groups, resamples=300, bounds=(-1, 1))
    assert found.pooled_interval == pytest.approx(tuple(drawn))
    expected = tuple(float(np.divide(*part.sum(axis=0))) for part in parts)
    assert found.pooled_scores == pytest.approx(expected)
    assert found.pooled == pytest.approx(expected[1] - expected[0])


def test_plain_scores_have_no_pooled_difference():
    found = only(compare({"a": table([0.1, 0.2]), "b": ratios((1, 2), (3, 4))}))
    assert math.isnan(found.pooled)
    assert not found.pooled_interval.known


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_turned_round_it_is_the_opposite(pairs):
    a, b = (table([pair[i] for pair in pairs]) for i in (0, 1))
    there, back = only(compare({"a": a, "b": b})), only(compare({"b": b, "a": a}))
    assert there.mean == pytest.approx(-back.mean)
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low), abs=1e-9)
    assert (there.wins, there.ties, there.losses) == (back.losses, back.ties, back.wins)
    assert there.wins + there.ties + there.losses == len(pairs)
    assert (there.p, there.better, there.shown) == (back.p, back.better, back.shown)


def test_a_table_against_itself():
    a = table([0.1, 0.5, math.nan])
    found = only(compare({"a": a, "again": a}))
    assert (found.mean, found.p, found.better) == (0, 1, "")
    # Two groups without a difference do not say that no group has one.
    assert found.interval == pytest.approx((-found.interval.high, 1 - math.sqrt(0.025)))
    assert (found.wins, found.ties, found.losses, found.shown) == (0, 2, 0, False)


@pytest.mark.parametrize(
    ("traits", "a", "b", "better", "wins"),
    [
        (Traits(), 0.2, 0.6, "b", 1),
        (ERROR, 0.2, 0.6, "a", 0),
        (Traits(signed=True, range=None), -0.6, 0.2, "b", 1),
        (Traits(signed=True, range=None), 0.2, -0.6, "a", 0),
    ],
)
def test_what_is_better_the_metric_says(traits, a, b, better, wins):
    found = only(compare({"a": table([a], traits=traits), "b": table([b], traits=traits)}))
    assert (found.better, found.wins, found.losses) == (better, wins, 1 - wins)


def test_rightly_finding_nothing_counts_where_the_other_finds_something():
    nan = math.nan

    def empty_truth(scores, prediction, **how):
        made = table(scores, **how)
        pairs = zip(made.rows, prediction, strict=True)
        rows = [replace(row, truth_samples=0, prediction_samples=samples) for row, samples in pairs]
        return replace(made, rows=tuple(rows))

    a = empty_truth([nan, nan, 0.0], [0, 0, 5])
    b = empty_truth([0.0, nan, nan], [5, 0, 0])
    found = only(compare({"a": a, "b": b}))
    assert (found.cases, found.credited, found.scores) == (2, (1, 1), (0.5, 0.5))
    far = only(
        compare(
            {
                "a": empty_truth([nan], [0], traits=ERROR),
                "b": empty_truth([80.0], [5], traits=ERROR),
            }
        )
    )
    assert (far.scores, far.better) == ((0.0, 80.0), "a")
    # No score for another reason: there is something, and no precision where nothing was found.
    missed = only(compare({"a": table([nan, 0.5], prediction=0), "b": table([0.5, 0.5])}))
    assert (missed.cases, missed.credited) == (1, (0, 0))


def test_a_metric_read_pooled_only_has_a_pooled_difference_and_no_test():
    traits = Traits(pooled_only=True)
    a, b = ([(i, 40) for i in range(k, k + 20)] for k in (0, 15))
    sides = (ratios(*parts, traits=traits, metric="mask_ap") for parts in (a, b))
    found = only(compare(dict(zip("ab", sides, strict=True))))
    assert math.isnan(found.mean)
    assert math.isnan(found.p)
    assert found.leading == (found.pooled, found.pooled_interval)
    assert (found.better, found.shown, found.cases, found.groups) == ("b", False, 20, 20)
    assert found.pooled_interval.low > 0  # known, but no test was made


def test_p_is_corrected_for_all_tests_made():
    rng = np.random.default_rng(3)

    def judged(shift):
        rows = [
            Row(f"c{i}", f"p{i}", label, truth_samples=5, prediction_samples=5,
                scores={m: shift * weight + rng.normal(0, 0.1) for m, weight in (("dice", 1), ("iou", 2))})
            for i in range(20) for label in ("liver", "tumour")
        ]  # fmt: skip
        return Table("test", ("dice", "iou"), tuple(rows))

    comparison = compare({"a": judged(0), "b": judged(0.1), "c": judged(0.15)})
    assert comparison.pairs == (("a", "b"), ("a", "c"), ("b", "c"))
    assert len(comparison.differences) == comparison.tests == 12
    corrected = holm([d.p for d in comparison.differences])
    assert [d.p_holm for d in comparison.differences] == pytest.approx(corrected)
    assert any(d.p_holm > d.p for d in comparison.differences)
    fewer = compare({"a": judged(0), "b": judged(0.1)}, metrics=["iou"])
    assert {d.metric for d in fewer.differences} == {"iou"}


def test_a_difference_is_shown_only_if_interval_and_corrected_p_agree():
    gains = np.linspace(0.15, 0.25, 20)
    sure = only(compare({"a": table([0.1] * 20), "b": table(gains)}))
    assert sure.shown
    assert not replace(sure, p_holm=0.05).shown
    assert not replace(sure, p_holm=math.nan).shown
    assert not replace(sure, interval=sure.interval._replace(low=-0.1)).shown
    one = only(compare({"a": table([0.1]), "b": table([0.9])}))
    assert not one.shown


def test_who_is_compared_with_whom():
    tables = {name: table([0.1, 0.5]) for name in "abcd"}
    three = dict(list(tables.items())[:3])
    assert compare(three).pairs == (("a", "b"), ("a", "c"), ("b", "c"))
    assert compare(three, reference="b").pairs == (("b", "a"), ("b", "c"))
    assert compare(tables).pairs == (("a", "b"), ("a", "c"), ("a", "d"))


def test_by_column_and_by_size():
    columns = [{"site": "AB"[i % 2]} for i in range(12)]
    a = table([0.5] * 12, columns=columns)
    b = table([0.5 + 0.1 * (i % 2) for i in range(12)])  # it need not know the sites
    for tables in ({"a": a, "b": b}, {"b": b, "a": a}):
        parts = {d.subgroup: d for d in compare(tables).subgroups}
        assert abs(parts["site", "A"].mean) == pytest.approx(0)
        assert abs(parts["site", "B"].mean) == pytest.approx(0.1)
        assert parts["site", "B"].cases == 6
        assert math.isnan(parts["site", "B"].p)
        assert [value for column, value in parts if column == "size of polyp"] == [
            "small: up to 13 px²", "medium: 14 to 17 px²", "large: from 18 px²"
        ]  # fmt: skip


def test_refuses_what_is_not_the_same_cases():
    a, b = table([0.1] * 9), table([0.1] * 2)
    with pytest.raises(ValueError, match=r"b lacks case 2, .* case 6 and 2 more.*common=True"):
        compare({"a": a, "b": b})
    found = compare({"a": a, "b": b}, common=True)
    assert (only(found).cases, found.first.cases) == (2, ("case 0", "case 1"))
    assert found.left_out == {"a": tuple(f"case {i}" for i in range(2, 9))}
    other = replace(b, rows=tuple(replace(row, case=f"x{row.case}") for row in b.rows))
    with pytest.raises(ValueError, match="a lacks xcase 0, xcase 1; b lacks"):
        compare({"a": a, "b": other}, common=True)


def test_the_order_of_cases_changes_nothing():
    a, b = table([0.1, 0.9, 0.5]), table([0.2, 0.7, 0.6])
    turned = replace(b, rows=b.rows[::-1])
    found, again = (compare({"a": a, "b": other}).differences for other in (b, turned))
    assert repr(found) == repr(again)  # repr, because NaN differs from itself


def test_refuses_other_truths():
    a, b = table([0.1, 0.2]), table([0.1, 0.2])
    b = replace(b, rows=(b.rows[0], replace(b.rows[1], truth_samples=12)))
    with pytest.raises(
        ValueError, match=r"case 1: polyp has 11 samples in the truth of a, 12 in that"
    ):
        compare({"a": a, "b": b})


def test_groups_come_from_whoever_knows_them_and_must_agree():
    a = table([0.1, 0.2, 0.3, 0.4])
    known = table([0.2, 0.2, 0.4, 0.4], groups=["p", "p", "q", "q"])
    for tables in ({"a": a, "b": known}, {"b": known, "a": a}):
        assert only(compare(tables)).groups == 2
    renamed = table([0.2, 0.2, 0.4, 0.4], groups=["x", "x", "y", "y"])
    assert only(compare({"a": known, "b": renamed})).groups == 2
    other = table([0.2, 0.2, 0.4, 0.4], groups=["p", "q", "p", "q"])
    with pytest.raises(ValueError, match="of one group in a are of several groups in b"):
        compare({"a": known, "b": other})


def test_refuses_what_cannot_be_compared():
    a, b = table([0.1]), table([0.1], metric="iou")
    with pytest.raises(ValueError, match="needs at least two"):
        compare({"a": a})
    with pytest.raises(ValueError, match="there is no table 'c'; there are a, b"):
        compare({"a": a, "b": b}, reference="c")
    with pytest.raises(ValueError, match="no metric is in every table. a has dice; b has iou"):
        compare({"a": a, "b": b})
    with pytest.raises(ValueError, match="b was not evaluated by dice"):
        compare({"a": a, "b": b}, metrics=["dice"])
    with pytest.raises(ValueError, match="a has polyp; b has liver"):
        compare({"a": a, "b": table([0.1], label="liver")})


def test_inputs_are_left_as_they_are():
    a, b = table([0.1, 0.2]), table([0.3, 0.2], groups=["p", "p"])
    before = repr((a, b))
    compare({"a": a, "b": b})
    assert repr((a, b)) == before


def test_json_says_all_of_it():
    columns = [{"site": "AB"[i % 2]} for i in range(4)]
    a, b = table([0.1, math.nan, 0.3, 0.5], columns=columns), table([0.2, 0.4, 0.3, 0.6])
    said = compare({"a": a, "b": b}).as_json()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert (said["names"], said["cases"], said["groups"]) == (["a", "b"], 4, 4)
    assert "Holm over 1 tests" in said["test"]
    (found,) = said["differences"]
    assert found["mean"]["difference"] == pytest.approx(0.2 / 3)
    assert found["pooled"]["difference"] is None
    assert (found["wins"], found["ties"], found["losses"], found["better"]) == (2, 1, 0, "b")
    assert said["subgroups"][0]["column"] == "site"


def test_saved_scores_stand_side_by_side(tmp_path):
    a = ratios((1, 2), (0, 0))
    b = ratios((3, 4), (1, 2))
    compare({"old": a, "new": b}).save(tmp_path / "comparison.csv")
    with open(tmp_path / "comparison.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["case", "group", "label", "metric", "old", "new", "new - old"],
            ["case 0", "p0", "polyp", "dice", "0.5", "0.75", "0.25"],
            ["case 1", "p1", "polyp", "dice", "nan", "0.5", "nan"],
        ]


def test_pooled_scores_are_those_of_the_tables():
    a, b = ratios((1, 2), (9, 12)), ratios((2, 2), (8, 12))
    found = only(compare({"a": a, "b": b}))
    assert found.pooled_scores == (a.pooled("polyp", "dice"), pool(b.tallies("polyp", "dice")))


@pytest.mark.parametrize("traits", [Traits(), ERROR])
def test_nobody_is_shown_to_be_better_where_mean_and_test_speak_for_different_sides(traits):
    """Many small gains outrank a few large losses, which decide the mean."""
    b = [0.505 + i / 5000 for i in range(85)] + [0.0 - i / 1000 for i in range(15)]
    found = only(compare({"a": table([0.5] * 100, traits=traits), "b": table(b, traits=traits)}))
    assert found.mean < 0 < found.rank_sum
    assert found.interval.high < 0
    assert found.p_holm < 0.001
    assert found.better == ("b" if traits is ERROR else "a")
    assert not found.shown
    assert replace(found, rank_sum=-1.0).shown


def test_a_part_of_the_cases_is_never_shown_since_no_test_is_made():
    columns = [{"site": "AB"[i % 2]} for i in range(24)]
    a, b = (table([score] * 24, columns=columns) for score in (0.1, 0.9))
    comparison = compare({"a": a, "b": b})
    assert only(comparison).shown
    assert [(d.interval.known, d.shown) for d in comparison.subgroups] == [(True, False)] * 5


def test_a_pooled_difference_that_one_patient_decides_has_no_interval():
    a, b = ratios((1, 2), *[(0, 0)] * 9), ratios((2, 2), *[(0, 0)] * 9)
    found = only(compare({"a": a, "b": b}))
    assert found.pooled == 0.5
    assert not found.pooled_interval.known


def test_what_models_say_of_themselves_is_compared_only_by_name():
    def judged(dice, said):
        rows = [
            Row(f"c{i}", f"p{i}", "polyp", truth_samples=5, prediction_samples=5,
                scores={"expected_dice": said, "dice": dice}) for i in range(3)
        ]  # fmt: skip
        own = {"expected_dice": Traits(expects="dice", one_on_itself=False)}
        return Table("test", ("expected_dice", "dice"), tuple(rows), own)

    tables = {"modest": judged(0.9, 0.5), "vain": judged(0.5, 0.9)}
    assert compare(tables).metrics == ("dice",)
    assert only(compare(tables, metrics=["expected_dice"])).better == "vain"
    alone = {name: replace(t, metrics=("expected_dice",)) for name, t in tables.items()}
    with pytest.raises(ValueError, match="models expect of themselves: expected_dice"):
        compare(alone)


def test_refuses_other_truths_of_equal_size():
    a, b = table([0.1, 0.2]), table([0.1, 0.2])

    def known(table, *digests):
        rows = zip(table.rows, digests, strict=True)
        return replace(table, rows=tuple(replace(row, truth_digest=digest) for row, digest in rows))

    a = known(a, "ab", "cd")
    with pytest.raises(
        ValueError, match="case 1: the truth of polyp is not the same in a and in b"
    ):
        compare({"a": a, "b": known(b, "ab", "ce")})
    assert compare({"a": a, "b": known(b, "ab", "cd")}).differences
    assert compare({"a": a, "b": known(b, "", "cd")}).differences  # a table of old knows none


def test_refuses_a_table_without_cases():
    nothing = Table("test", ("dice",), ())
    with pytest.raises(ValueError, match="b has no case, so there is nothing to compare"):
        compare({"a": table([0.1]), "b": nothing})


def test_says_how_few_groups_there_are():
    few, enough = (
        compare(dict.fromkeys("ab", table([0.5] * n, groups=[f"p{i}" for i in range(n)])))
        for n in (3, 20)
    )
    assert few.caution == few.as_json()["caution"]
    assert few.caution.startswith("With 3 groups")
    assert enough.caution is enough.as_json()["caution"] is None
