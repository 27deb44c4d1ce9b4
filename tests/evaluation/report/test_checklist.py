import re
from dataclasses import replace

import pytest

from delineate.evaluation.report._checklist import CLAIM, METRICS, Known, checklist
from delineate.evaluation.table import Row, Table

RECIPE = (
    "name: polyp\ntask: semantic\nprepare:\n- channels: 3\nmodel: unet\nloss: dice\ntrainer: {}\n"
)


def known(metrics=("dice",), groups=("p", "q"), columns=None, independent=None, **what):
    rows = tuple(
        Row(f"c{i}", group, "polyp", 4, 1, 1, 94, 5, 5, 5.0 + i, 5.0 + i, "px²",
            dict.fromkeys(metrics, 0.8), columns or {})
        for i, group in enumerate(groups)
    )  # fmt: skip
    table = Table("test", metrics, rows, independent=independent)
    return Known(**{
        "table": table, "scores": table.scores(), "facts": {}, "card": {}, "split": {},
        "leaks": None, "shown": (), "parted": (), **what,
    })  # fmt: skip


def items(known, **answers):
    found = checklist(known, answers)
    claim = {item.number: item for item in found["CLAIM 2024"]}
    return claim, {item.topic: item for item in found["Metrics Reloaded"]}


def test_all_44_items_in_order():
    claim, _ = items(known())
    assert list(claim) == [str(i) for i in range(1, 45)]
    assert len({asked.topic for asked in (*CLAIM, *METRICS)}) == 44 + len(METRICS)


def test_what_cannot_be_known_is_left_open():
    claim, reloaded = items(known())
    # Neither model nor training nor data of anybody's masks are known.
    for number in ("1", "7", "9", "14", "19", "20", "22", "23", "25", "26", "32", "33", "44"):
        assert (claim[number].state, claim[number].answer) == ("open", "")
    assert claim["28"].state == claim["29"].state == claim["37"].state == "answered"
    assert claim["21"].state == "in part"
    assert reloaded["Boundary"].state == "open"
    assert reloaded["Dependent cases"].state == "open"
    assert reloaded["Class imbalance"].answer == "Share of all pixels or voxels: polyp 5 %."


def test_every_open_item_says_what_is_missing():
    for item in [item for group in checklist(known(), {}).values() for item in group]:
        assert item.state == "answered" or re.match(r"\w", item.left_open)
        assert item.answer or item.left_open


def test_a_run_answers_more():
    claim, reloaded = items(
        known(
            metrics=("dice", "hd95", "ece", "lesion_f1"),
            groups=("p", "p", "q"),
            columns={"site": "Ulm"},
            facts={"recipe": RECIPE},
            card={"seed": 5, "versions": {"numpy": "2.4"}, "training": {"epoch": 9},
                  "data": {"sha256": "ab" * 32}, "intended_use": "Research."},
            split={"train": (10, 5), "test": (3, 2)},
            independent=True,
            leaks=(),
            shown=("fails", "pictures"),
            parted=("size", "site"),
        )
    )  # fmt: skip
    assert claim["9"].answer == "See “prepare” in the recipe, printed under “What was run”."
    assert claim["19"].answer == "Train 10 cases of 5 groups; test 3 cases of 2 groups."
    assert claim["20"].state == "answered"
    assert claim["22"].answer.startswith("See “model” and “task” in the recipe")
    assert claim["23"].answer == "numpy 2.4"
    assert "epoch 9" in claim["26"].answer
    assert claim["32"].answer == "3 cases of the split “test”, which the model did not learn from."
    assert "the lowest scores" in claim["39"].answer
    assert reloaded["Problem category"].answer.startswith("Semantic segmentation")
    assert reloaded["Boundary"].answer == "Evaluated: HD95."
    assert reloaded["Objects one by one"].answer == "Evaluated: Lesion F1."
    assert reloaded["Dependent cases"].state == "answered"


@pytest.mark.parametrize("leaks", [None, ("duplicates_across_splits",)])
def test_partitions_are_not_said_to_be_disjoint_without_an_audit_that_found_them_so(leaks):
    claim, _ = items(known(split={"train": (9, 9), "test": (2, 2)}, leaks=leaks))
    assert claim["20"].state == "open"


def test_cases_known_to_leak_are_no_internal_test():
    split = {"train": (9, 9), "test": (2, 2)}
    told = "which the model did not learn from"
    assert told in items(known(split=split, independent=True))[0]["32"].answer
    claim, _ = items(known(split=split, independent=False))
    assert (claim["32"].state, claim["32"].answer) == ("open", "")


def test_columns_of_the_data_are_not_passed_off_as_what_patients_are_like():
    groups = ("p", "p", "q", "r")

    def of(*names):
        table = known(groups=groups).table
        rows = tuple(
            replace(row, columns={n: row.group if n == "who" else f"{i % 2}" for n in names})
            for i, row in enumerate(table.rows)
        )
        return items(known(table=replace(table, rows=rows)))[0]["36"].answer

    assert of() == of("patient") == of("who") == ""
    assert of("patient", "site", "sex") == (
        "The data have these columns for the evaluated cases: “site”, “sex”."
    )


def test_scores_are_said_to_be_parted_only_by_what_is_drawn():
    claim, _ = items(known(groups=("p", "q", "r"), shown=("fails",), parted=("site",)))
    assert claim["30"].answer == "Scores by site, under “Where it fails”."
    assert "by size" not in claim["39"].answer
    claim, _ = items(known(parted=("size", "site")))
    assert claim["30"].answer == "Scores by size of the object, by site, under “Where it fails”."


def test_the_tolerance_is_told():
    _, reloaded = items(known(metrics=("nsd", "nsd_voxel(tolerance=1.5)")))
    answer = reloaded["Tolerance of the boundary"].answer
    assert answer == "Evaluated: NSD at 2 px, Voxel NSD at 1.5 px."


@pytest.mark.parametrize("split", ["train", "val"])
def test_cases_that_shaped_the_model_are_no_internal_test(split):
    table = Table(split, ("dice",), known().table.rows)
    claim, _ = items(known(table=table, split={"train": (2, 2), "val": (2, 2)}))
    assert claim["32"].state == "open"


def test_answers_of_the_authors_close_items():
    claim, reloaded = items(known(), **{"CLAIM 14": "Two readers.", "Why these metrics": "Volume."})
    assert (claim["14"].answer, claim["14"].state) == ("Two readers.", "answered")
    assert reloaded["Why these metrics"].state == "answered"
    with pytest.raises(ValueError, match=r"no item 'CLAIM 99'; there are CLAIM 1 to CLAIM 44"):
        items(known(), **{"CLAIM 99": "x"})
