"""The parts of a page, one by one."""

from dataclasses import replace

import numpy as np
import pytest

from delineate.evaluation.report import _figures
from delineate.evaluation.report._confusion import confusion
from delineate.evaluation.report._forest import by_kind, by_label
from delineate.evaluation.report._glossary import explained
from delineate.evaluation.report._review import review
from delineate.evaluation.report._scores import blocks, sentences, tiles
from delineate.evaluation.report._thresholds import _thinned, thresholds
from delineate.evaluation.report._words import title, unbroken
from delineate.evaluation.table import Row, Table
from delineate.metrics import Tally
from delineate.metrics._probability_histogram import THRESHOLDS
from delineate.resolve import names


def row(case, score=0.8, label="polyp", tp=4, fp=1, fn=1, tn=94, group=None, metric="dice", **more):
    return Row(case, group or case, label, tp, fp, fn, tn, tp + fp, tp + fn, float(tp + fp), float(tp + fn), "mm³",
               {metric: score, **more})  # fmt: skip


@pytest.mark.parametrize("metric", names("metrics"))
def test_every_metric_is_explained(metric):
    assert len(explained(metric)) > 30
    assert "_" not in title(metric)


def test_a_tolerance_and_a_beta_are_told_wherever_the_score_is():
    metrics = ("nsd", "nsd(tolerance=1.5)", "f_beta(beta=0.5)")
    scores = dict.fromkeys(metrics, 0.8)
    rows = tuple(row(f"c{i}", metric="iou", **scores) for i in range(6))
    table = Table("test", metrics, rows)
    named = ["NSD at 2 mm", "NSD at 1.5 mm", "F0.5"]
    assert [line.name for line in blocks(table, table.scores())[0].lines] == named
    told = [tile.name for tile in tiles(table, table.scores(), metrics)]
    assert told == [f"{name}, polyp" for name in named]
    assert _figures.distribution(table, "nsd", "polyp").title == "NSD at 2 mm per case: polyp"
    assert "mean NSD at 2 mm of" in sentences(table, table.scores(), unseen=False)["polyp"]


def test_terms_say_which_tolerance_and_which_beta():
    assert explained("nsd", unit="px").endswith("The tolerance is 2 px, the default.")
    assert explained("nsd(tolerance=2.0)", unit="mm").endswith("The tolerance is 2 mm.")
    assert explained("f_beta").endswith("1 is Dice. The beta is 2, the default.")
    assert explained("f_beta(beta=0.5)").endswith("The beta is 0.5.")
    assert "Never above" in explained("iou")


def test_a_metric_of_ones_own_has_a_name_and_no_explanation():
    assert (title("my_boundary"), explained("my_boundary")) == ("My boundary", "")


def test_sentences_say_how_well_and_how_often_not_at_all():
    rows = [row(f"c{i}") for i in range(17)]
    rows += [row(f"m{i}", 0.0, tp=0, fn=5) for i in range(2)]
    rows += [row("a", 0.0, tp=0, fn=0, fp=3), row("b", np.nan, tp=0, fn=0, fp=0)]
    table = Table("test", ("dice",), tuple(rows))
    said = sentences(table, table.scores(), unseen=True)["polyp"]
    assert said.startswith(
        "In the 20 unseen cases that can be scored, of 21 in all, polyp was segmented with a mean Dice of 0.680 "
        "(95 % interval 0."
    )
    # Clopper-Pearson of 2 in 19; two cases without it are too few for a rate.
    assert (
        "missed completely in 2 of the 19 cases with it (10.5 %, 95 % interval 1.3 to 33.1 %)."
        in said
    )
    assert said.endswith("It was falsely predicted in 1 of the 2 cases without it.")


def test_a_rate_of_cases_that_share_patients_draws_patients():
    """None missed of 40 cases in four patients is no more than none of four."""
    table = Table("test", ("dice",), tuple(row(f"c{i}", group=f"p{i % 4}") for i in range(40)))
    said = sentences(table, table.scores(resamples=10), unseen=True)["polyp"]
    assert "none of the 40 cases with it (0.0 %, 95 % interval 0.0 to 60.2 %)." in said
    one = Table("test", ("dice",), tuple(row(f"c{i}", group="p") for i in range(40)))
    said = sentences(one, one.scores(resamples=10), unseen=True)["polyp"]
    assert said.endswith("none of the 40 cases with it (0.0 %).")
    assert "unseen" not in sentences(table, table.scores(), unseen=False)["polyp"]


def test_a_mean_is_said_to_be_over_the_cases_it_is_over():
    rows = [row(f"c{i}", 1.0, group=f"p{i // 2}") for i in range(2)]
    rows += [row(f"e{i}", np.nan, tp=0, fn=0, fp=0, group=f"q{i // 2}") for i in range(4)]
    table = Table("test", ("dice",), tuple(rows))
    assert sentences(table, table.scores(), unseen=False)["polyp"].startswith(
        "In the 2 cases of 1 group that can be scored, of 6 in all, polyp was segmented with a mean Dice of 1.000."
    )
    whole = Table("test", ("dice",), tuple(rows[:2]))
    assert sentences(whole, whole.scores(), unseen=True)["polyp"].startswith(
        "In 2 unseen cases of 1 group, polyp was segmented"
    )


def test_the_other_rules_for_empty_cases_are_told_where_they_matter():
    table = Table("test", ("dice",), (row("a"), row("b", np.nan, tp=0, fn=0, fp=0)))
    (block,) = blocks(table, table.scores())
    assert block.empties == "in the truth of 1 of 2 cases, predicted in 1"
    assert [(line.name, line.mean, line.cases) for line in block.lines] == [
        ("Dice", "0.800", "1 of 2"),
        ("Dice where the truth has it", "0.800", "1"),
        ("Dice, both empty counted as 1", "0.900", "2"),
    ]
    alone = Table("test", ("dice",), (row("a"),))
    assert [line.name for line in blocks(alone, alone.scores())[0].lines] == ["Dice"]


def test_distances_have_units_and_as_many_digits_as_they_are_worth():
    table = Table("test", ("hd95",), tuple(row(f"c{i}", 10.0 + i, metric="hd95") for i in range(5)))
    (line,) = blocks(table, table.scores())[0].lines
    assert (line.name, line.unit, line.best, line.mean) == ("HD95", "mm", "↓", "12.0")
    (tile,) = tiles(table, table.scores(), table.metrics)
    assert (tile.figure, tile.unit, tile.drawn) == ("12.0", "mm", False)


def test_a_metric_that_is_read_pooled_leads_with_what_is_pooled():
    tallies = [Tally("ratio", (i, 10)) for i in range(5)]
    rows = tuple(row(f"c{i}", tally, metric="mask_ap") for i, tally in enumerate(tallies))
    table = Table("test", ("mask_ap",), rows)
    (line,) = blocks(table, table.scores())[0].lines
    assert (line.mean, line.pooled, line.pooled_leads) == ("–", "0.200", True)
    assert tiles(table, table.scores(), table.metrics)[0].figure == "0.200"


def test_a_forest_lies_on_its_axis():
    rows = tuple(row(f"c{i}", i / 30, tp=4 + i) for i in range(30))
    table = Table("test", ("dice",), rows)
    (forest,) = by_kind(table, table.scores(), "dice", "polyp")
    assert [branch.name.partition(":")[0] for branch in forest.branches] == [
        "small",
        "medium",
        "large",
    ]
    for branch in forest.branches:
        assert 0 <= branch.low < branch.at < branch.high <= 100
    assert forest.branches[0].high < forest.reference < forest.branches[2].low
    places = {number: at for at, number in forest.ticks}
    assert places["0.2"] < forest.branches[1].at < places["0.8"]


def test_kinds_of_one_case_are_told_in_words_and_numbers_stand_in_order():
    kinds = ["10", "10", "2", "2", "1", "1", "3", "7"]
    rows = tuple(
        replace(row(f"c{i}", i / 10), columns={"polyps": kind}) for i, kind in enumerate(kinds)
    )
    table = Table("test", ("dice",), rows)
    (forest,) = by_kind(table, table.scores(), "dice", "polyp")
    assert [branch.name for branch in forest.branches] == ["1", "2", "10"]
    assert forest.left_out == "2 values with one case each are not shown"
    alone = Table("test", ("dice",), rows[4:])
    assert by_kind(alone, alone.scores(), "dice", "polyp") == []


def test_labels_stand_above_each_other_from_three_on():
    def of(*labels):
        table = Table("test", ("dice",), tuple(row(c, label=name) for c in "ab" for name in labels))
        return by_label(table, table.scores(), "dice")

    assert of("liver", "tumour") == []
    (forest,) = of("liver", "tumour", "spleen")
    assert [branch.name for branch in forest.branches] == ["liver", "tumour", "spleen"]


def test_confusion_of_one_label_comes_from_its_counts():
    found = confusion(Table("test", ("dice",), (row("a"), row("b"))))
    assert found.names == ("background", "polyp")
    assert np.allclose(found.of_truth, [[94 / 95, 1 / 95], [1 / 5, 4 / 5]])
    assert np.allclose(found.of_prediction, [[94 / 95, 1 / 95], [1 / 5, 4 / 5]])


def test_confusion_of_several_labels_comes_from_the_kept_matrix():
    matrix = np.array([[80, 2, 0], [5, 9, 3], [0, 0, 0]])  # found by truth
    rows = [row("a", label=name) for name in ("liver", "tumour")]
    whole = Row(
        "a",
        "a",
        "all",
        unit="mm³",
        scores={"balanced_accuracy": Tally("balanced_accuracy", matrix)},
    )
    found = confusion(Table("test", ("dice", "balanced_accuracy"), (*rows, whole)))
    assert np.allclose(found.of_truth[1], [2 / 11, 9 / 11, 0])
    assert np.allclose(found.of_prediction[1], [5 / 17, 9 / 17, 3 / 17])
    assert found.of_prediction[2] == (None, None, None)
    assert confusion(Table("test", ("dice",), tuple(rows))) is None


def test_sending_the_unsure_to_a_person():
    rows = [row(f"c{i:02d}", 0.9, expected_dice=0.8 + i / 1000) for i in range(46)]
    rows += [row(f"w{i}", 0.2, expected_dice=0.3 + i / 100) for i in range(4)]
    found = review(Table("test", ("dice", "expected_dice"), tuple(rows)), "polyp")
    assert found.words.startswith(
        "Sending the least confident 8 % (4 cases, expected Dice below 0.800) to a person raises the mean Dice "
        "of the rest from 0.844 to 0.900."
    )
    assert [case for case, _, _ in found.sent] == ["w0", "w1", "w2", "w3"]
    assert found.shares[1] == ("10 %", "5", "0.900", "0.900")
    svg = found.plots[0].svg
    assert svg.count("<title>") == 50
    assert "<title>w0: expects 0.300, is 0.200</title>" in svg
    assert review(Table("test", ("dice", "expected_dice"), tuple(rows[:9])), "polyp") is None


def test_a_model_that_does_not_know_is_not_said_to():
    rows = tuple(row(f"c{i:02d}", 0.5 + i / 100, expected_dice=0.9 - i / 100) for i in range(25))
    found = review(Table("test", ("dice", "expected_dice"), rows), "polyp")
    assert "does not raise the mean Dice" in found.words


def test_curves_say_the_area_of_all_cases_together():
    absent, present = np.zeros((2, 2, THRESHOLDS.size), np.uint32)
    absent[0, :4], absent[1, -4:] = 5, 5  # told apart without fault
    present[:, 7] = 3  # not told apart at all
    for parts, area in ((absent, "1.000"), (present, "0.500")):
        rows = tuple(
            row(f"c{i}", auroc=Tally("auroc", parts), ece=Tally("ece", np.ones((3, 5))))
            for i in range(3)
        )
        table = Table("test", ("dice", "auroc", "ece"), rows)
        roc, reliability = thresholds(table, table.scores(), ["polyp"])
        assert "over all cases, AUROC" in roc.words
        assert [(colour, words.split()[:2]) for colour, words in roc.key] == [
            ("first", ["polyp", area])
        ]
        assert reliability.title == "Reliability"


def test_a_thinned_curve_keeps_its_ends_and_its_course():
    x = np.linspace(0, 1, 20_001)
    thin_x, thin_y = _thinned(x, np.sqrt(x))
    assert len(thin_x) < 1200
    assert (thin_x[0], thin_x[-1]) == (0, 1)
    assert np.abs(np.interp(x, thin_x, thin_y) - np.sqrt(x)).max() < 0.003


def test_numbers_stay_with_what_they_count_in():
    assert unbroken("95 % interval, 3 mm, 4 px and 5 mmHg") == (
        "95\N{NO-BREAK SPACE}% interval, 3\N{NO-BREAK SPACE}mm, 4\N{NO-BREAK SPACE}px and 5 mmHg"
    )


def test_dots_tell_which_case_they_are():
    table = Table("test", ("dice",), tuple(row(f"<c{i}>", i / 5, tp=3 + i) for i in range(5)))
    svg = _figures.by_size(table, "dice", "polyp").svg
    assert svg.count("<title>") == 5
    assert "<title>&lt;c0&gt;: 0.000</title>" in svg
